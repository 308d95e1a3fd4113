import { Notification } from '@jupyterlab/apputils';

import { accessWarnings, sessionWarnings } from '../ends';
import { formatLeft } from '../format';
import { Message } from '../message';
import { asApiError } from '../request';
import { wordsForSoon } from '../told';
import { CommandIDs } from '../tokens';
import type { IExpiry, ISession } from '../types';
import { wordsFor } from '../words';
import { type ITellingEnv, tellingPlugin } from './telling';

const EVERY_MS = 20000;

/** Where the browser keeps which warnings of access have been given. */
const GIVEN = 'jupyter-sessions:access-warnings';

/** Warns with one notification of all sessions that end soon. */
class EndWarning {
  constructor(private readonly _env: ITellingEnv) {}

  look(now: number): void {
    const { model } = this._env;
    const live = model.populated.flatMap(name => model.live(name));
    const isNews = this._warnings.due(live, now).length > 0;
    const { near } = this._warnings;
    if (near.length === 0) {
      this._message.withdraw();
    } else if (isNews || (this._message.isShown && this._isOther(near))) {
      this._show(near);
    }
  }

  private _show(near: readonly ISession[]): void {
    const { model, trans } = this._env;
    const renewable = near.filter(({ backend }) =>
      model.backend(backend)?.capabilities?.includes('renew')
    );
    const renewal = {
      label: near.length > 1 ? trans.__('Renew all') : trans.__('Renew'),
      callback: () => void this._renew(renewable)
    };
    this._message.show(
      wordsForSoon(near, trans),
      'warning',
      renewable.length > 0 ? [renewal] : []
    );
    this._shown = keysOf(near);
  }

  private _isOther(near: readonly ISession[]): boolean {
    return this._shown !== keysOf(near);
  }

  private async _renew(sessions: ISession[]): Promise<void> {
    const { model, trans } = this._env;
    this._message.withdraw();
    const renewals = sessions.map(row => model.renew(row));
    for (const renewal of await Promise.allSettled(renewals)) {
      if (renewal.status === 'rejected') {
        const { message, hint } = wordsFor(asApiError(renewal.reason), trans);
        const words = [message, hint].filter(Boolean).join(' ');
        this._refusal.show(words, 'error', []);
      }
    }
  }

  private _shown = '';
  private readonly _warnings = sessionWarnings();
  private readonly _message = new Message(Notification.manager);
  private readonly _refusal = new Message(Notification.manager);
}

function keysOf(sessions: readonly ISession[]): string {
  return sessions.map(({ backend, id }) => `${backend}/${id}`).join(' ');
}

function warnOfExpiry(
  message: Message,
  backend: string,
  { at, renew: command, title }: IExpiry,
  { app, trans }: ITellingEnv
): void {
  const left = formatLeft(Date.parse(at) - Date.now(), trans);
  const words = [trans.__('Your access to %1 expires in %2.', title, left)];
  if (command) {
    words.push(trans.__('`%1` renews it.', command));
  }
  const action = {
    label: trans.__('Sign in'),
    callback: () => void app.commands.execute(CommandIDs.signIn, { backend })
  };
  message.show(words.join(' '), 'warning', [action]);
}

/** Which warnings of access were given on other visits, too. */
function recalled(): [string, number][] {
  try {
    return Object.entries(JSON.parse(localStorage.getItem(GIVEN) ?? '{}'));
  } catch {
    return [];
  }
}

/** Warns of sessions that are going to be ended soon, and offers to put that off; and of credentials that expire soon. */
export const warningsPlugin = tellingPlugin(
  'warnings',
  'Warns before a compute session or the access to a backend ends.',
  env => {
    const { model } = env;
    const sessions = new EndWarning(env);
    const accesses = accessWarnings(recalled());
    const messages = new Map<string, Message>();
    const messageOf = (backend: string): Message => {
      const known = messages.get(backend);
      const message = known ?? new Message(Notification.manager);
      messages.set(backend, message);
      return message;
    };
    const look = (): void => {
      const now = Date.now();
      sessions.look(now);
      if (!model.isLoaded) {
        return;
      }
      const due = accesses.due(Object.entries(model.expiries), now);
      due.forEach(([name, expiry]) =>
        warnOfExpiry(messageOf(name), name, expiry, env)
      );
      if (due.length > 0) {
        localStorage.setItem(GIVEN, JSON.stringify(accesses.given));
      }
    };
    setInterval(look, EVERY_MS);
    // What was renewed or has ended is warned of no more, at once
    model.changed.connect(() => sessions.look(Date.now()));
  }
);
