import type { IBackend, IFolder, IGroup, ISessionSpec, ISize } from '../types';

/** The choices besides image and amounts; '' lets the backend choose. */
export interface IChoices {
  type: string;

  /** The size whose amounts the form has; null after a change of an amount. */
  size: ISize | null;
  group: string;
  project: string;
  folders: string[];
}

export const NO_CHOICES: IChoices = {
  type: '',
  size: null,
  group: '',
  project: '',
  folders: []
};

/** Whether a backend supports a field of specs. */
export function takes(backend: IBackend, field: string): boolean {
  return backend.takes?.includes(field) ?? true;
}

/** The session types that an image is for; empty if it is for all. */
export function typesOf(backend: IBackend, image: string): string[] {
  return backend.images?.find(({ name }) => name === image)?.types ?? [];
}

/** The folders that are always mounted, and those that can be chosen. */
export function foldersOf(backend: IBackend): {
  automatic: IFolder[];
  mountable: IFolder[];
} {
  const { folders = [] } = backend;
  return {
    automatic: folders.filter(folder => folder.automatic),
    mountable: takes(backend, 'mounts')
      ? folders.filter(folder => !folder.automatic)
      : []
  };
}

/** The projects to choose from. */
export function projectsOf(backend: IBackend): string[] {
  return takes(backend, 'group') ? (backend.projects ?? []) : [];
}

/** The resource groups to choose from. */
export function groupsOf(backend: IBackend): IGroup[] {
  return takes(backend, 'resource_group') ? (backend.groups ?? []) : [];
}

/** The fields of specs for which a backend offers choices. */
export function offered(backend: IBackend, image: string): string[] {
  const { folders = [] } = backend;
  return [
    ...(typesOf(backend, image).length > 1 ? ['type'] : []),
    ...(projectsOf(backend).length > 0 ? ['group'] : []),
    ...(groupsOf(backend).length > 0 ? ['resource_group'] : []),
    ...(folders.length > 0 ? ['mounts'] : [])
  ];
}

/** The fields of a spec for the choices that were made. */
export function chosen(
  choices: IChoices
): Pick<
  ISessionSpec,
  'type' | 'group' | 'resource_group' | 'mounts' | 'resource_opts'
> {
  const { type, size, group, project, folders } = choices;
  const shmem = size?.shared_memory;
  return {
    ...(type ? { type } : {}),
    ...(project ? { group: project } : {}),
    ...(group ? { resource_group: group } : {}),
    ...(folders.length > 0 ? { mounts: folders } : {}),
    ...(shmem ? { resource_opts: { shmem } } : {})
  };
}

/** Whether a choice was made that kernels do not store. */
export function exceedsKernel(choices: IChoices): boolean {
  return Object.keys(chosen({ ...choices, type: '' })).length > 0;
}

/** What happens to files outside of mounted folders. */
export type Fate = 'kept' | 'lost' | 'lost-but-automatic';

/** Determine what happens to files without a chosen folder. */
export function fateOf(backend: IBackend, folders: string[]): Fate {
  if (!backend.storage?.needs_mount || folders.length > 0) {
    return 'kept';
  }
  const { automatic } = foldersOf(backend);
  return automatic.length > 0 ? 'lost-but-automatic' : 'lost';
}
