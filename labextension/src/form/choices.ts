import type { IBackend, IFolder, IGroup, ISessionSpec, ISize } from '../types';

/** What is chosen beside image and amounts; '' leaves it to the backend. */
export interface IChoices {
  type: string;

  /** The size whose amounts the form holds; null once one is another. */
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

/** Whether a backend does something with a field of specs. */
export function takes(backend: IBackend, field: string): boolean {
  return backend.takes?.includes(field) ?? true;
}

/** The types of session that an image is for; none if they are all alike. */
export function typesOf(backend: IBackend, image: string): string[] {
  return backend.images?.find(({ name }) => name === image)?.types ?? [];
}

/** The folders that each session has, and those that may be chosen. */
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

/** The projects that one may choose from. */
export function projectsOf(backend: IBackend): string[] {
  return takes(backend, 'group') ? (backend.projects ?? []) : [];
}

/** The resource groups that one may choose from. */
export function groupsOf(backend: IBackend): IGroup[] {
  return takes(backend, 'resource_group') ? (backend.groups ?? []) : [];
}

/** The choices that a backend offers, by what the server calls them. */
export function offered(backend: IBackend, image: string): string[] {
  const { folders = [] } = backend;
  return [
    ...(typesOf(backend, image).length > 1 ? ['type'] : []),
    ...(projectsOf(backend).length > 0 ? ['group'] : []),
    ...(groupsOf(backend).length > 0 ? ['resource_group'] : []),
    ...(folders.length > 0 ? ['mounts'] : [])
  ];
}

/** The choices as they are asked for; those left open are left out. */
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

/** Whether something is chosen that kernels do not keep. */
export function exceedsKernel(choices: IChoices): boolean {
  return Object.keys(chosen({ ...choices, type: '' })).length > 0;
}

/** What becomes of files: whether those of no mounted folder are at risk. */
export type Fate = 'kept' | 'lost' | 'lost-but-automatic';

/** Whether files will be gone that nobody has chosen a folder for. */
export function fateOf(backend: IBackend, folders: string[]): Fate {
  if (!backend.storage?.needs_mount || folders.length > 0) {
    return 'kept';
  }
  const { automatic } = foldersOf(backend);
  return automatic.length > 0 ? 'lost-but-automatic' : 'lost';
}
