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
}

function awarenessOf(sharedModel: unknown): IAwareness | undefined {
  return ((sharedModel ?? {}) as { awareness?: IAwareness }).awareness;
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
