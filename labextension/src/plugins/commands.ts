import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { SessionsApi } from '../api';
import { addCommands } from '../commands';
import { CommandIDs, IKernelsModel, ISessionsModel } from '../tokens';

/** Adds the commands, also to palette and launcher if they exist. */
export const commandsPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-sessions:commands',
  description: 'Adds the commands for compute sessions.',
  autoStart: true,
  requires: [ISessionsModel, IKernelsModel],
  optional: [
    ICommandPalette,
    ILauncher,
    ITranslator,
    IDefaultFileBrowser,
    IDocumentManager
  ],
  activate: (
    app: JupyterFrontEnd,
    model: ISessionsModel,
    kernels: IKernelsModel,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    translator: ITranslator | null,
    browser: IDefaultFileBrowser | null,
    documents: IDocumentManager | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_sessions');
    const category = trans.__('Compute sessions');
    const api = new SessionsApi(app.serviceManager.serverSettings);
    const env = { app, api, model, kernels, trans, browser, documents };
    for (const command of addCommands(env)) {
      palette?.addItem({ command, category });
    }
    launcher?.add({
      command: CommandIDs.create,
      args: { isLauncher: true },
      category: trans.__('Other'),
      rank: 10
    });
  }
};
