import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import {
  ITranslator,
  nullTranslator,
  type TranslationBundle
} from '@jupyterlab/translation';

import { ISessionsModel } from '../tokens';

/** The objects that plugins with notifications use. */
export interface INotifierEnv {
  readonly app: JupyterFrontEnd;
  readonly model: ISessionsModel;
  readonly trans: TranslationBundle;
}

/** Create a plugin that follows the sessions and shows notifications. */
export function notifierPlugin(
  id: string,
  description: string,
  begin: (env: INotifierEnv) => void
): JupyterFrontEndPlugin<void> {
  return {
    id: `jupyter-sessions:${id}`,
    description,
    autoStart: true,
    requires: [ISessionsModel],
    optional: [ITranslator],
    activate: (
      app: JupyterFrontEnd,
      model: ISessionsModel,
      translator: ITranslator | null
    ): void => {
      const trans = (translator ?? nullTranslator).load('jupyter_sessions');
      begin({ app, model, trans });
    }
  };
}
