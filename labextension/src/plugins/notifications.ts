import { Notification } from '@jupyterlab/apputils';

import { Message } from '../message';
import { isAtLimit, merged, wordsForEnds } from '../told';
import { CommandIDs, type IOutcome } from '../tokens';
import type { ISession } from '../types';
import { type ITellingEnv, tellingPlugin } from './telling';

/** The button that shows the sessions which a notification is about. */
export function showButton({ app, trans }: ITellingEnv): Notification.IAction {
  return {
    label: trans.__('Show'),
    callback: () => void app.commands.execute(CommandIDs.showEnded)
  };
}

/** One notification for all ends of a kind, until it is dismissed. */
class Ends {
  constructor(
    private readonly _kind: 'error' | 'warning',
    private readonly _env: ITellingEnv
  ) {}

  add(sessions: ISession[]): void {
    if (sessions.length === 0) {
      return;
    }
    const before = this._message.isShown ? this._sessions : [];
    this._sessions = merged(before, sessions);
    const words = wordsForEnds(this._sessions, this._env.trans);
    this._message.show(words, this._kind, [showButton(this._env)]);
  }

  private _sessions: ISession[] = [];
  private readonly _message = new Message(Notification.manager);
}

/** Tells of sessions that ended without anybody asking for it. */
export const notificationsPlugin = tellingPlugin(
  'notifications',
  'Tells why a compute session ended when nobody ended it.',
  env => {
    // An end set by a limit was to be expected; any other is a failure
    const [failures, limits] = [
      new Ends('error', env),
      new Ends('warning', env)
    ];
    env.model.settled.connect((_, outcomes: IOutcome[]) => {
      const odd = outcomes
        .filter(outcome => !outcome.expected)
        .map(({ session }) => session);
      failures.add(odd.filter(row => !isAtLimit(row)));
      limits.add(odd.filter(isAtLimit));
    });
  }
);
