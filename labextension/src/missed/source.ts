import type { ISelection, SessionsApi } from '../api';
import type { ISessionsModel } from '../tokens';
import type { ISessionRef } from '../vocabulary';
import type { IOutputs } from '../types';

/** The source of the output of sessions. */
export interface IOutputsSource {
  /** The session of a kernel, if its output is stored. */
  sessionOf(kernelId: string): Promise<ISessionRef | null>;

  outputs(ref: ISessionRef, which: ISelection): Promise<IOutputs>;
}

/** Fetches output from the server, for backends that store it. */
export class ServerOutputs implements IOutputsSource {
  constructor(
    private readonly _api: Pick<SessionsApi, 'sessionOf' | 'outputs'>,
    private readonly _model: Pick<ISessionsModel, 'backend' | 'loadBackends'>
  ) {}

  async sessionOf(kernelId: string): Promise<ISessionRef | null> {
    const session = await this._api.sessionOf(kernelId);
    return session && (await this._keepsOutputs(session)) ? session : null;
  }

  outputs(ref: ISessionRef, which: ISelection): Promise<IOutputs> {
    return this._api.outputs(ref, which);
  }

  private async _keepsOutputs({ backend }: ISessionRef): Promise<boolean> {
    if (!this._model.backend(backend)) {
      await this._model.loadBackends();
    }
    const capabilities = this._model.backend(backend)?.capabilities;
    return capabilities?.includes('outputs') ?? false;
  }
}
