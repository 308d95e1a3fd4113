import { commandsPlugin } from './plugins/commands';
import { modelPlugin } from './plugins/model';
import { notificationsPlugin } from './plugins/notifications';
import { panelPlugin } from './plugins/panel';

export { ISessionsModel } from './tokens';

export default [modelPlugin, commandsPlugin, panelPlugin, notificationsPlugin];
