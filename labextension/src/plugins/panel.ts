import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { CommandIDs, IKernelsModel, ISessionsModel, PANEL_ID } from '../tokens';
import { SessionsPanel } from '../widgets/panel';
import { revealSection } from '../widgets/reveal';

/** Adds the side panel, whose buttons need the commands. */
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
    commands.addCommand(CommandIDs.showEnded, {
      label: trans.__('Show ended sessions'),
      caption: trans.__('Show the compute sessions that ended recently'),
      describedBy: { args: { type: 'object', properties: {} } },
      execute: () => {
        shell.activateById(PANEL_ID);
        void revealSection(panel.node, 'ended');
      }
    });
  }
};
