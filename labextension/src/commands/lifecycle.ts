import {
  Dialog,
  Notification,
  showDialog,
  showErrorMessage
} from '@jupyterlab/apputils';
import { addIcon, closeIcon, refreshIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { sessionsIcon } from '../icons';
import { asApiError } from '../request';
import { canRestart, canTerminate } from '../status';
import { CommandIDs, PANEL_ID } from '../tokens';
import type { ISession } from '../types';
import { askForSession } from '../widgets/dialog';
import { wordsFor, wordsForList } from '../words';
import type { ICommandEnv } from './index';
import { SESSION_ARGS } from './targets';

type Command = CommandRegistry.ICommandOptions;

interface IQuestion {
  title: string;
  body: string;
  yes: string;
}

async function confirm(
  { title, body, yes }: IQuestion,
  { trans }: ICommandEnv
): Promise<boolean> {
  const buttons = [
    Dialog.cancelButton({ label: trans.__('Cancel') }),
    Dialog.warnButton({ label: yes })
  ];
  const { button } = await showDialog({ title, body, buttons });
  return button.accept;
}

/** Do a thing and tell the person when the server would not. */
async function attempt(
  headline: string,
  act: () => Promise<void>,
  { trans }: ICommandEnv
): Promise<void> {
  try {
    await act();
  } catch (error) {
    const { message, hint } = wordsFor(asApiError(error), trans);
    const words = [`${headline}:`, message, hint].filter(Boolean).join(' ');
    Notification.error(words, { autoClose: false });
  }
}

function reasonForNone({ model, trans }: ICommandEnv): string {
  if (!model.failure) {
    return trans.__('No backend is configured.');
  }
  const { message, hint } = wordsForList(model.failure, trans);
  return [message, hint].filter(Boolean).join(' ');
}

/** The launcher's folder, else the file browser's. */
function folderOf(
  { cwd }: ReadonlyPartialJSONObject,
  env: ICommandEnv
): string {
  const path = typeof cwd === 'string' ? cwd : (env.browser?.model.path ?? '');
  return env.app.serviceManager.contents.localPath(path);
}

function create(env: ICommandEnv): Command {
  const { app, model, trans } = env;
  return {
    label: args =>
      args.isLauncher ? trans.__('Compute session') : trans.__('New session'),
    caption: trans.__('Start a new compute session'),
    icon: args => (args.isLauncher ? sessionsIcon : addIcon),
    execute: async args => {
      const loading = model.loadBackends();
      if (model.backends.length === 0) {
        await loading;
      }
      if (model.backends.length === 0) {
        return showErrorMessage(
          trans.__('No session can be started'),
          reasonForNone(env)
        );
      }
      const session = await askForSession(model, trans, folderOf(args, env));
      if (session) {
        app.shell.activateById(PANEL_ID);
      }
      return session;
    }
  };
}

function terminate(env: ICommandEnv): Command {
  const { model, targets, trans } = env;
  return {
    label: trans.__('Terminate session…'),
    caption: trans.__('End a session and what runs in it'),
    icon: closeIcon,
    describedBy: { args: SESSION_ARGS },
    isEnabled: args => targets.exists(args, canTerminate),
    execute: async args => {
      const title = trans.__('Terminate which session?');
      const session = await targets.resolve(args, canTerminate, title);
      if (session && (await confirm(endQuestion(session, env), env))) {
        const headline = trans.__('Cannot terminate %1', session.name);
        await attempt(headline, () => model.terminate(session), env);
      }
    }
  };
}

function endQuestion({ name }: ISession, { trans }: ICommandEnv): IQuestion {
  return {
    title: trans.__('Terminate %1?', name),
    body: trans.__('What runs in it is stopped. This cannot be undone.'),
    yes: trans.__('Terminate')
  };
}

function restart(env: ICommandEnv): Command {
  const { model, targets, trans } = env;
  const suits = (row: ISession): boolean =>
    canRestart(row, model.backend(row.backend));
  return {
    label: trans.__('Restart session…'),
    caption: trans.__('Restart a session; its variables are lost'),
    icon: refreshIcon,
    describedBy: { args: SESSION_ARGS },
    isEnabled: args => targets.exists(args, suits),
    execute: async args => {
      const title = trans.__('Restart which session?');
      const session = await targets.resolve(args, suits, title);
      if (session && (await confirm(restartQuestion(session, env), env))) {
        const headline = trans.__('Cannot restart %1', session.name);
        await attempt(headline, () => model.restart(session), env);
      }
    }
  };
}

function restartQuestion(
  { name }: ISession,
  { trans }: ICommandEnv
): IQuestion {
  return {
    title: trans.__('Restart %1?', name),
    body: trans.__('Variables are lost; files and resources stay.'),
    yes: trans.__('Restart')
  };
}

/** The commands that begin, end or restart a session. */
export function lifecycleCommands(env: ICommandEnv): Record<string, Command> {
  return {
    [CommandIDs.create]: create(env),
    [CommandIDs.terminate]: terminate(env),
    [CommandIDs.restart]: restart(env)
  };
}
