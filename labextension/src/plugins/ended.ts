import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import {
  ISessionContextDialogs,
  Notification,
  SessionContextDialogs
} from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { SessionsApi } from '../api';
import { type IWatchEnv, SessionWatch } from '../ended';
import { IKernelsModel, ISessionsModel } from '../tokens';
import { EndedNotice } from '../widgets/ended';

/** Show a notice above a notebook while its session is ended. */
function watch(panel: NotebookPanel, env: IWatchEnv): void {
  let notice: EndedNotice | null = null;
  const clear = (): void => {
    notice?.dispose();
    notice = null;
  };
  const following = new SessionWatch(panel.sessionContext, env, what => {
    clear();
    if (what && !panel.isDisposed) {
      notice = new EndedNotice({
        ...what,
        dismissLabel: env.trans.__('Dismiss'),
        onDismiss: clear
      });
      panel.contentHeader.addWidget(notice);
    }
  });
  panel.disposed.connect(() => following.dispose());
}

/** Shows in a notebook why its session ended, and creates it again on request. */
export const endedPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-sessions:ended-notebooks',
  description:
    'Tells in a notebook why its session ended, and starts it again.',
  autoStart: true,
  requires: [INotebookTracker, ISessionsModel, IKernelsModel],
  optional: [ISessionContextDialogs, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    model: ISessionsModel,
    kernels: IKernelsModel,
    dialogs: ISessionContextDialogs | null,
    translator: ITranslator | null
  ): void => {
    const services = app.serviceManager;
    const { contents, kernelspecs, serverSettings } = services;
    const chooser =
      dialogs ??
      new SessionContextDialogs({ translator: translator ?? undefined });
    const env: IWatchEnv = {
      api: new SessionsApi(serverSettings),
      model,
      kernels,
      specs: kernelspecs,
      trans: (translator ?? nullTranslator).load('jupyter_sessions'),
      refresh: () =>
        Promise.all([
          services.kernels.refreshRunning(),
          services.sessions.refreshRunning()
        ]),
      choose: context => chooser.selectKernel(context),
      tell: (headline, why) => {
        Notification.error(`${headline}: ${why}`, { autoClose: false });
      },
      folderOf: path => PathExt.dirname(contents.localPath(path))
    };
    tracker.widgetAdded.connect((_, panel) => watch(panel, env));
  }
};
