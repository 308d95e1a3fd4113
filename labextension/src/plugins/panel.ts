import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { IKernelsModel, ISessionsModel, PANEL_ID } from '../tokens';
import { SessionsPanel } from '../widgets/panel';

/** Adds the side panel; needs the commands' plugin for its buttons. */
export const panelPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-sessions:panel',
  description: 'Adds the side panel that lists compute sessions.',
  autoStart: true,
  requires: [ISessionsModel, IKernelsModel],
  optional: [ILayoutRestorer, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    model: ISessionsModel,
    kernels: IKernelsModel,
    restorer: ILayoutRestorer | null,
    translator: ITranslator | null
  ): void => {
    const { commands, serviceManager, shell } = app;
    const { baseUrl } = serviceManager.serverSettings;
    const translation = translator ?? nullTranslator;
    const trans = translation.load('jupyter_sessions');
    const panel = new SessionsPanel(
      { model, kernels, commands, trans, baseUrl },
      translation
    );
    restorer?.add(panel, PANEL_ID);
    shell.add(panel, 'left', { rank: 250, type: 'Compute sessions' });
  }
};
