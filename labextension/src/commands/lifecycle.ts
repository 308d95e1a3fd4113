import { showErrorMessage } from '@jupyterlab/apputils';
import { addIcon, closeIcon, refreshIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';

import { sessionsIcon } from '../icons';
import { type ApiError, NEEDS_FORCE } from '../request';
import { canRestart, canTerminate, isWaiting } from '../status';
import { CommandIDs, PANEL_ID } from '../tokens';
import type { ISession } from '../types';
import { askForSession } from '../widgets/dialog';
import { wordsForList } from '../errormessages';
import {
  attempt,
  confirm,
  folderOf,
  type IQuestion,
  refusalOf,
  tell
} from './prompts';
import { affected } from './affected';
import type { ICommandEnv } from './env';
import { saveKernel } from './kernels';
import { isAboutOne, SESSION_ARGS } from './targets';

type Command = CommandRegistry.ICommandOptions;

function reasonForNone({ model, trans }: ICommandEnv): string {
  if (!model.failure) {
    return trans.__('No backend is configured.');
  }
  const { message, hint } = wordsForList(model.failure, trans);
  return [message, hint].filter(Boolean).join(' ');
}

function create(env: ICommandEnv): Command {
  const { app, model, trans } = env;
  return {
    label: args =>
      args.isLauncher ? trans.__('Compute session') : trans.__('New session'),
    caption: trans.__('Create a compute session'),
    icon: args => (args.isLauncher ? sessionsIcon : addIcon),
    execute: async args => {
      const loading = model.loadBackends();
      if (model.backends.length === 0) {
        await loading;
      }
      if (model.backends.length === 0) {
        return showErrorMessage(
          trans.__('No session can be created'),
          reasonForNone(env)
        );
      }
      const { contents } = app.serviceManager;
      const cwd = contents.localPath(folderOf(args, env));
      const { session, kernel } = await askForSession(model, trans, cwd);
      if (session) {
        app.shell.activateById(PANEL_ID);
      } else if (kernel) {
        await saveKernel(kernel, env);
      }
      return session;
    }
  };
}

function terminate(env: ICommandEnv): Command {
  const { targets, trans } = env;
  return {
    label: args =>
      isAboutOne(args)
        ? trans.__('Terminate…')
        : trans.__('Terminate session…'),
    caption: trans.__('Terminate a session and stop its code'),
    icon: closeIcon,
    describedBy: { args: SESSION_ARGS },
    isEnabled: args => targets.exists(args, canTerminate),
    execute: async args => {
      const title = trans.__('Terminate which session?');
      const session = await targets.resolve(args, canTerminate, title);
      if (session && (await confirm(await endQuestion(session, env), env))) {
        await end(session, env);
      }
    }
  };
}

/** Terminate a session, by force if that is required and the person confirms it. */
async function end(session: ISession, env: ICommandEnv): Promise<void> {
  const { model, trans } = env;
  const headline = trans.__('Cannot terminate %1', session.name);
  const refusal = await refusalOf(() => model.terminate(session));
  if (refusal?.reason === NEEDS_FORCE) {
    if (await confirm(forceQuestion(session, refusal, env), env)) {
      await attempt(headline, () => model.terminate(session, true), env);
    }
  } else if (refusal) {
    tell(headline, refusal, trans);
  }
}

function forceQuestion(
  { name }: ISession,
  { message }: ApiError,
  { trans }: ICommandEnv
): IQuestion {
  const words = trans.__('Termination by force ends it at once.');
  return {
    title: trans.__('Terminate %1 by force?', name),
    body: `${message} ${words}`,
    yes: trans.__('Terminate by force')
  };
}

async function endQuestion(
  session: ISession,
  env: ICommandEnv
): Promise<IQuestion> {
  const { name } = session;
  const { trans } = env;
  return isWaiting(session)
    ? {
        title: trans.__('Cancel %1?', name),
        body: trans.__('It has not started. It leaves the queue.'),
        yes: trans.__('Cancel session'),
        no: trans.__('Keep waiting')
      }
    : {
        title: trans.__('Terminate %1?', name),
        body: [
          ...(await affected(session, env)),
          trans.__('Its running code is stopped. This cannot be undone.')
        ].join(' '),
        yes: trans.__('Terminate')
      };
}

function restart(env: ICommandEnv): Command {
  const { model, targets, trans } = env;
  const suits = (row: ISession): boolean =>
    canRestart(row, model.backend(row.backend));
  return {
    label: args =>
      isAboutOne(args) ? trans.__('Restart…') : trans.__('Restart session…'),
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

/** The commands that create, terminate and restart sessions. */
export function lifecycleCommands(env: ICommandEnv): Record<string, Command> {
  return {
    [CommandIDs.create]: create(env),
    [CommandIDs.terminate]: terminate(env),
    [CommandIDs.restart]: restart(env)
  };
}
