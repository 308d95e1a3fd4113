import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';

import { SessionsApi } from '../api';
import { EventFeed } from '../feed';
import { SessionsModel } from '../model';
import { ISessionsModel } from '../tokens';

/** Keeps the sessions of all backends up to date. */
export const modelPlugin: JupyterFrontEndPlugin<ISessionsModel> = {
  id: 'jupyter-sessions:model',
  description: 'Keeps the compute sessions of all backends up to date.',
  autoStart: true,
  provides: ISessionsModel,
  activate: (app: JupyterFrontEnd): ISessionsModel => {
    const settings = app.serviceManager.serverSettings;
    const feed = new EventFeed(settings, () => document.hidden);
    const model = new SessionsModel(new SessionsApi(settings), feed);
    // A hidden page may have been frozen, its connection dead
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) {
        feed.wake();
        void model.resync();
        void model.loadAbout();
      }
    });
    // Whoever answers again may be another version
    feed.opened.connect(() => void model.loadAbout());
    void model.resync();
    void model.loadAbout();
    return model;
  }
};
