import type { TranslationBundle } from '@jupyterlab/translation';

import { formatResources, parseMemory } from './format';
import { isLive, reasonLabel } from './status';
import type { IBackend, ISession, ISessionSpec } from './types';
import type { Resources } from './vocabulary';

/** Matches the reason of a session that was ended because of its memory. */
const OUT_OF_MEMORY = /out of memory|used more than its/i;

/** Whether code can no longer run in a session. */
export function isOver(session: ISession): boolean {
  return !isLive(session) || session.status === 'ERROR';
}

/** `Session 'beta' ended at 12:56 (on request).` */
export function wordsForEnd(
  session: ISession,
  trans: TranslationBundle
): string {
  const { name, status, status_info } = session;
  const when = session.terminated_at ?? session.status_changed ?? '';
  const time = new Date(when).toLocaleTimeString([], { timeStyle: 'short' });
  const words =
    status === 'ERROR'
      ? trans.__("Session '%1' failed at %2", name, time)
      : trans.__("Session '%1' ended at %2", name, time);
  if (!status_info) {
    return `${words}.`;
  }
  const reason = reasonLabel(status_info, trans);
  // A code is shown as a few words; any other reason is a sentence
  return reason === status_info
    ? `${words}: ${reason.replace(/\.$/, '')}.`
    : `${words} (${reason}).`;
}

/** The resources of a new session in place of an ended one: twice the memory if it ran out. */
export function resourcesAgain(
  { resources = {}, status_info }: ISession,
  backend?: IBackend
): Resources {
  const bytes = parseMemory(resources.mem ?? '');
  if (!bytes || !OUT_OF_MEMORY.test(status_info ?? '')) {
    return resources;
  }
  const most = parseMemory(backend?.capacity?.mem?.total ?? '') || Infinity;
  const mem = Math.max(bytes, Math.min(2 * bytes, most));
  return { ...resources, mem: `${Math.floor(mem / 1024 ** 2)}m` };
}

/** `0.5 CPU, 512 MiB` */
export function listResources(resources: Resources): string {
  return formatResources(resources).split(' · ').join(', ');
}

/** The spec that creates a session like an ended one, with what its backend still offers. */
export function specAgain(
  session: ISession,
  resources: Resources,
  folder: string,
  backend?: IBackend
): ISessionSpec {
  const { group_name: project, resource_group: group, mounts } = session;
  const folders = backend?.folders?.filter(({ automatic }) => !automatic) ?? [];
  const names = folders.map(({ name }) => name);
  return {
    backend: session.backend,
    name: session.name,
    image: session.image,
    cwd: session.cwd || folder,
    resources,
    reuse_if_exists: false,
    ...(session.type && { type: session.type }),
    ...(backend?.projects?.includes(project ?? '') && { group: project }),
    ...(backend?.groups?.some(({ name }) => name === group) && {
      resource_group: group
    }),
    ...(mounts?.some(name => names.includes(name)) && {
      mounts: mounts.filter(name => names.includes(name))
    })
  };
}
