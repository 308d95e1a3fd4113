import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { SessionsApi } from '../api';
import type { IKernelsModel, ISessionsModel } from '../tokens';
import type { Targets } from './targets';

/** The objects that all commands use. */
export interface ICommandEnv {
  readonly app: JupyterFrontEnd;
  readonly api: SessionsApi;
  readonly model: ISessionsModel;
  readonly kernels: IKernelsModel;
  readonly trans: TranslationBundle;
  readonly targets: Targets;
  readonly browser: IDefaultFileBrowser | null;
  readonly documents: IDocumentManager | null;
}
