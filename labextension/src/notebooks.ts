import type { Session } from '@jupyterlab/services';

import type { SessionsApi } from './api';
import { kernelOf } from './kernels';
import type { ISessionRef } from './vocabulary';

/** The services of JupyterLab that are used. */
export interface INotebookServices {
  sessions: {
    refreshRunning(): Promise<void>;
    running(): Iterable<Session.IModel>;
  };
  kernelspecs: {
    specs: { kernelspecs: Record<string, unknown> } | null;
  };
}

/** The paths of the notebooks and consoles whose kernel is in a session. */
export async function notebooksIn(
  { backend, id }: ISessionRef,
  { sessions, kernelspecs }: INotebookServices,
  api: SessionsApi
): Promise<string[]> {
  await sessions.refreshRunning();
  const specs = (kernelspecs.specs?.kernelspecs ?? {}) as Record<
    string,
    Parameters<typeof kernelOf>[0]
  >;
  const candidates = [...sessions.running()].filter(
    ({ kernel }) => kernel && kernelOf(specs[kernel.name])
  );
  const found = await Promise.all(
    candidates.map(({ kernel }) => api.sessionOf(kernel!.id).catch(() => null))
  );
  return candidates
    .filter(
      (_, place) => found[place]?.backend === backend && found[place]?.id === id
    )
    .map(({ path }) => path);
}
