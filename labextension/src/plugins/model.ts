import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';

import { SessionsApi } from '../api';
import { EventFeed } from '../feed';
import { SessionsModel } from '../model';
import { ISessionsModel } from '../tokens';

/** Provides the sessions of all backends and keeps them up to date. */
export const modelPlugin: JupyterFrontEndPlugin<ISessionsModel> = {
  id: 'jupyter-sessions:model',
  description: 'Keeps the compute sessions of all backends up to date.',
  autoStart: true,
  provides: ISessionsModel,
  activate: (app: JupyterFrontEnd): ISessionsModel => {
    const settings = app.serviceManager.serverSettings;
    const feed = new EventFeed(settings, () => document.hidden);
    const model = new SessionsModel(new SessionsApi(settings), feed);
    // A hidden page may have been frozen and have lost its connection
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) {
        feed.wake();
        void model.resync();
        void model.loadAbout();
      }
    });
    // The server may have another version after a restart
    feed.opened.connect(() => void model.loadAbout());
    void model.resync();
    void model.loadAbout();
    return model;
  }
};
