import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';

import { SessionsApi } from '../api';
import { KernelsModel } from '../kernels';
import { IKernelsModel, ISessionsModel } from '../tokens';

/** Provides the kernels on sessions. */
export const kernelsPlugin: JupyterFrontEndPlugin<IKernelsModel> = {
  id: 'jupyter-sessions:kernels',
  description: 'Knows the kernels that run in compute sessions.',
  autoStart: true,
  requires: [ISessionsModel],
  provides: IKernelsModel,
  activate: (app: JupyterFrontEnd, sessions: ISessionsModel): IKernelsModel => {
    const { kernelspecs, serverSettings } = app.serviceManager;
    const kernels = new KernelsModel(
      new SessionsApi(serverSettings),
      kernelspecs
    );
    sessions.kernelsChanged.connect(() => void kernels.refresh());
    return kernels;
  }
};
