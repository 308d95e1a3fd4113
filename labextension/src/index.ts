import { commandsPlugin } from './plugins/commands';
import { endedPlugin } from './plugins/ended';
import { kernelsPlugin } from './plugins/kernels';
import { missedPlugin } from './plugins/missed';
import { modelPlugin } from './plugins/model';
import { notificationsPlugin } from './plugins/notifications';
import { panelPlugin } from './plugins/panel';
import { shutdownPlugin } from './plugins/shutdown';
import { warningsPlugin } from './plugins/warnings';

export { IKernelsModel, ISessionsModel } from './tokens';

export default [
  modelPlugin,
  kernelsPlugin,
  commandsPlugin,
  panelPlugin,
  notificationsPlugin,
  missedPlugin,
  endedPlugin,
  shutdownPlugin,
  warningsPlugin
];
