import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';

import type { IKernelsModel, ISessionsModel } from '../tokens';

/** What every part of the panel works with; the same object for its life. */
export interface IPanelEnv {
  readonly model: ISessionsModel;
  readonly kernels: IKernelsModel;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;

  /** Where the server is, for links to services. */
  readonly baseUrl: string;
}
