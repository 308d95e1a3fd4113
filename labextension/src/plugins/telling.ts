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

/** What plugins that tell people of something work with. */
export interface ITellingEnv {
  readonly app: JupyterFrontEnd;
  readonly model: ISessionsModel;
  readonly trans: TranslationBundle;
}

/** A plugin that follows the sessions and tells people of something. */
export function tellingPlugin(
  id: string,
  description: string,
  begin: (env: ITellingEnv) => void
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
