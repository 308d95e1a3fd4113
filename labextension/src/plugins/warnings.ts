import { Notification } from '@jupyterlab/apputils';

import { accessWarnings, sessionWarnings } from '../ends';
import { formatLeft } from '../format';
import { Message } from '../message';
import { asApiError } from '../request';
import { wordsForSoon } from '../endmessages';
import { CommandIDs } from '../tokens';
import type { IExpiry, ISession } from '../types';
import { wordsFor } from '../errormessages';
import { type INotifierEnv, notifierPlugin } from './notifier';

const EVERY_MS = 20000;

/** The key under which the browser stores the given warnings of credentials. */
const GIVEN = 'jupyter-sessions:access-warnings';

/** Shows one notification about all sessions that end soon. */
class EndWarning {
  constructor(private readonly _env: INotifierEnv) {}

  check(now: number): void {
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
  { app, trans }: INotifierEnv
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

/** The warnings of credentials that were given on earlier visits. */
function recalled(): [string, number][] {
  try {
    return Object.entries(JSON.parse(localStorage.getItem(GIVEN) ?? '{}'));
  } catch {
    return [];
  }
}

/** Warns of sessions that end soon, with a button to renew them, and of credentials that expire soon. */
export const warningsPlugin = notifierPlugin(
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
      sessions.check(now);
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
    // Withdraw warnings of renewed and ended sessions at once
    model.changed.connect(() => sessions.check(Date.now()));
  }
);
