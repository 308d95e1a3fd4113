import { DisposableDelegate, type IDisposable } from '@lumino/disposable';

/** How much of a name is shown; other people chose it. */
const LONGEST_NAME = 60;

/** What jupyter-collaboration knows of a person. */
interface IUser {
  username?: string;
  name?: string;
  display_name?: string;
}

/** Who has a document open, in y-protocols' terms. */
interface IAwareness {
  clientID: number;
  getLocalState(): { user?: IUser } | null;
  getStates(): Map<number, { user?: IUser }>;
  on(event: 'change', listener: () => void): void;
  off(event: 'change', listener: () => void): void;
}

function awarenessOf(sharedModel: unknown): IAwareness | undefined {
  return ((sharedModel ?? {}) as { awareness?: IAwareness }).awareness;
}

/** Whether any other page has a document open, be it of the same person. */
export function isOpenElsewhere(sharedModel: unknown): boolean {
  const awareness = awarenessOf(sharedModel);
  const pages = [...(awareness?.getStates().keys() ?? [])];
  return pages.some(page => page !== awareness!.clientID);
}

/** Call back when no other page has a document open any more. */
export function whenAlone(
  sharedModel: unknown,
  callback: () => void
): IDisposable {
  const awareness = awarenessOf(sharedModel);
  let wasAlone = !isOpenElsewhere(sharedModel);
  const look = (): void => {
    const isAlone = !isOpenElsewhere(sharedModel);
    if (isAlone && !wasAlone) {
      callback();
    }
    wasAlone = isAlone;
  };
  awareness?.on('change', look);
  return new DisposableDelegate(() => awareness?.off('change', look));
}

/**
 * The names of other people who have a document open, by its shared model.
 *
 * Empty without jupyter-collaboration, which nothing here depends on.
 */
export function othersAt(sharedModel: unknown): string[] {
  const awareness = awarenessOf(sharedModel);
  if (!awareness) {
    return [];
  }
  const own = awareness.getLocalState()?.user?.username;
  const names = [...awareness.getStates()]
    .filter(([client]) => client !== awareness.clientID)
    .map(([, { user }]) => user)
    .filter(user => user && (!own || user.username !== own))
    .map(user => user!.display_name || user!.name || user!.username || '?');
  return [...new Set(names)].map(name => `${name}`.slice(0, LONGEST_NAME));
}
