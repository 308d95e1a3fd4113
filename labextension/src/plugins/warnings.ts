import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { accessWarnings, minutesLeft, sessionWarnings } from '../ends';
import { formatLeft } from '../format';
import { asApiError } from '../request';
import { CommandIDs } from '../tokens';
import type { IExpiry, ISession } from '../types';
import { wordsFor } from '../words';
import { type ITellingEnv, tellingPlugin } from './telling';

const EVERY_MS = 20000;

/** Where the browser keeps which warnings of access have been given. */
const GIVEN = 'jupyter-sessions:access-warnings';

function describe(session: ISession, trans: TranslationBundle): string {
  const minutes = minutesLeft(session, Date.now()) ?? 0;
  return session.ends_why === 'idle'
    ? trans.__(
        'Session %1 is not used and ends in %2 min',
        session.name,
        minutes
      )
    : trans.__(
        'The time of session %1 is over in %2 min',
        session.name,
        minutes
      );
}

async function renew(
  session: ISession,
  { model, trans }: ITellingEnv
): Promise<void> {
  try {
    await model.renew(session);
  } catch (error) {
    const { message, hint } = wordsFor(asApiError(error), trans);
    Notification.error([message, hint].filter(Boolean).join(' '));
  }
}

function warnOfEnd(session: ISession, env: ITellingEnv): void {
  const able = env.model.backend(session.backend)?.capabilities;
  const action = {
    label: env.trans.__('Renew'),
    callback: () => void renew(session, env)
  };
  Notification.warning(describe(session, env.trans), {
    autoClose: false,
    actions: able?.includes('renew') ? [action] : []
  });
}

function warnOfExpiry(
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
  Notification.warning(words.join(' '), {
    autoClose: false,
    actions: [action]
  });
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
    const sessions = sessionWarnings();
    const accesses = accessWarnings(recalled());
    const look = (): void => {
      const now = Date.now();
      const live = model.populated.flatMap(name => model.live(name));
      sessions.due(live, now).forEach(session => warnOfEnd(session, env));
      if (!model.isLoaded) {
        return;
      }
      const due = accesses.due(Object.entries(model.expiries), now);
      due.forEach(([name, expiry]) => warnOfExpiry(name, expiry, env));
      if (due.length > 0) {
        localStorage.setItem(GIVEN, JSON.stringify(accesses.given));
      }
    };
    setInterval(look, EVERY_MS);
  }
);
