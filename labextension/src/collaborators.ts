import { DisposableDelegate, type IDisposable } from '@lumino/disposable';

/** The longest part of a name to show, as other people choose it. */
const LONGEST_NAME = 60;

/** A person in jupyter-collaboration. */
interface IUser {
  username?: string;
  name?: string;
  display_name?: string;
}

/** The clients that have a document open, as in y-protocols. */
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

/** Whether another page, of any person, has a document open. */
export function isOpenElsewhere(sharedModel: unknown): boolean {
  const awareness = awarenessOf(sharedModel);
  const pages = [...(awareness?.getStates().keys() ?? [])];
  return pages.some(page => page !== awareness!.clientID);
}

/** Call a function when no other page has a document open any more. */
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
 * The names of other people who have a document open.
 *
 * Empty without jupyter-collaboration, which is not required.
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
