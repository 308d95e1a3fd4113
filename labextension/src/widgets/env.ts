import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';

import type { IKernelsModel, ISessionsModel } from '../tokens';

/** The objects that all parts of the panel use. */
export interface IPanelEnv {
  readonly model: ISessionsModel;
  readonly kernels: IKernelsModel;
  readonly commands: CommandRegistry;
  readonly trans: TranslationBundle;

  /** The server's base URL, for links to services. */
  readonly baseUrl: string;
}
