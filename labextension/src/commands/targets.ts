import type { JupyterFrontEnd } from '@jupyterlab/application';
import { InputDialog } from '@jupyterlab/apputils';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import type { ISessionsModel } from '../tokens';
import type { ISession } from '../types';

type Args = ReadonlyPartialJSONObject;

/** A test of whether a command can be used on a session. */
export type Suits = (session: ISession) => boolean;

/** The arguments of commands about a session, as JSON Schema. */
export const SESSION_ARGS = {
  type: 'object',
  properties: {
    backend: { type: 'string', description: 'The name of the backend' },
    id: { type: 'string', description: 'The id of the session' },
    service: { type: 'string', description: 'The service to open' },
    contextMenu: {
      type: 'boolean',
      description: 'Whether to take the session under the context menu'
    }
  }
} as const;

/** All live sessions, by backend. */
export function liveSessions(model: ISessionsModel): ISession[] {
  return model.populated.flatMap(name => [...model.live(name)]);
}

/** The reference to a session for people: its name, with the backend if needed. */
export function referenceTo(session: ISession, model: ISessionsModel): string {
  const isAmbiguous = model.populated
    .filter(name => name !== session.backend)
    .some(name => model.live(name).some(row => row.name === session.name));
  return isAmbiguous ? `${session.backend}/${session.name}` : session.name;
}

/** Whether a command is shown for one particular session. */
export function isAboutOne({ contextMenu, id }: Args): boolean {
  return !!contextMenu || typeof id === 'string';
}

/** Finds the session on which a command acts. */
export class Targets {
  constructor(
    private readonly _model: ISessionsModel,
    private readonly _app: JupyterFrontEnd
  ) {}

  /** Whether there is a session on which the command can act. */
  exists(args: Args, suits: Suits): boolean {
    const named = this._named(args);
    return named === null
      ? liveSessions(this._model).some(suits)
      : named !== undefined && suits(named);
  }

  /** The session in the arguments or under the menu, otherwise one that the person picks. */
  async resolve(
    args: Args,
    suits: Suits,
    title: string
  ): Promise<ISession | undefined> {
    const named = this._named(args);
    if (named !== null) {
      return named && suits(named) ? named : undefined;
    }
    const candidates = liveSessions(this._model).filter(suits);
    return candidates.length > 1
      ? this._pick(candidates, title)
      : candidates[0];
  }

  /** The session in the arguments; null if they name none, undefined if it is gone. */
  private _named(args: Args): ISession | undefined | null {
    const { backend, id, contextMenu } = args;
    if (contextMenu) {
      return this._underMenu();
    }
    return typeof backend === 'string' && typeof id === 'string'
      ? this._model.find({ backend, id })
      : null;
  }

  private _underMenu(): ISession | undefined {
    const node = this._app.contextMenuHitTest(n => 'sessionId' in n.dataset);
    const { backend, sessionId } = node?.dataset ?? {};
    return backend && sessionId
      ? this._model.find({ backend, id: sessionId })
      : undefined;
  }

  private async _pick(
    candidates: ISession[],
    title: string
  ): Promise<ISession | undefined> {
    const items = candidates.map(row => `${row.backend}/${row.name}`);
    const { value } = await InputDialog.getItem({ title, items });
    return value === null ? undefined : candidates[items.indexOf(value)];
  }
}
