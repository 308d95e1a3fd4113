import type { IDocumentManager } from '@jupyterlab/docmanager';
import {
  kernelIcon,
  type LabIcon,
  notebookIcon
} from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { canAttach } from '../status';
import { CommandIDs } from '../tokens';
import type { ISession } from '../types';
import { attempt, folderOf } from './prompts';
import type { ICommandEnv } from './env';
import { isAboutOne, SESSION_ARGS } from './targets';

type Context = NonNullable<ReturnType<IDocumentManager['contextForWidget']>>;
type Command = CommandRegistry.ICommandOptions;

/** The command of JupyterLab and Notebook 7 that creates a notebook. */
const NEW_NOTEBOOK = 'notebook:create-new';

/** Whether new notebooks can be opened here. */
export function hasNotebooks({ app }: ICommandEnv): boolean {
  return app.commands.hasCommand(NEW_NOTEBOOK);
}

/** Open a new notebook with a kernel. */
export async function startNotebook(
  kernelName: string,
  cwd: string,
  { app }: ICommandEnv
): Promise<void> {
  await app.commands.execute(NEW_NOTEBOOK, { kernelName, cwd });
}

/** The current notebook, if any. */
function currentNotebook({ app, documents }: ICommandEnv): Context | null {
  const widget = app.shell.currentWidget;
  const context = widget && documents?.contextForWidget(widget);
  return context?.contentsModel?.type === 'notebook' ? context : null;
}

/** A command that attaches a notebook to a session. */
interface IJoining {
  /** The labels in the session's menu, and elsewhere. */
  labels: [string, string];
  caption: string;
  icon: LabIcon;

  /** The question for the session if the command names none. */
  question: string;

  /** The headline of an error. */
  headline: (session: ISession) => string;

  /** Return a function that gives the kernel to the current notebook; null without a notebook. */
  prepare: (
    args: ReadonlyPartialJSONObject
  ) => ((kernel: string) => Promise<void>) | null;
}

function joining(env: ICommandEnv, how: IJoining): Command {
  const { kernels, model, targets } = env;
  const suits = (row: ISession): boolean =>
    canAttach(row, model.backend(row.backend));
  return {
    label: args => how.labels[isAboutOne(args) ? 0 : 1],
    caption: how.caption,
    icon: how.icon,
    describedBy: { args: SESSION_ARGS },
    isEnabled: args => !!how.prepare(args) && targets.exists(args, suits),
    execute: async args => {
      const join = how.prepare(args);
      const session = await targets.resolve(args, suits, how.question);
      if (session && join) {
        const attach = async (): Promise<void> =>
          join(await kernels.attach(session));
        await attempt(how.headline(session), attach, env);
      }
    }
  };
}

function openNotebook(env: ICommandEnv): Command {
  const { trans } = env;
  return joining(env, {
    labels: [trans.__('Open notebook'), trans.__('Open notebook on a session')],
    caption: trans.__('Open a new notebook that runs in a session'),
    icon: notebookIcon,
    question: trans.__('Open a notebook on which session?'),
    headline: ({ name }) => trans.__('Cannot open a notebook on %1', name),
    prepare: args =>
      hasNotebooks(env)
        ? kernel => startNotebook(kernel, folderOf(args, env), env)
        : null
  });
}

function useForNotebook(env: ICommandEnv): Command {
  const { trans } = env;
  return joining(env, {
    labels: [
      trans.__('Use for this notebook'),
      trans.__('Use session for this notebook')
    ],
    caption: trans.__('Run the current notebook in a session from now on'),
    icon: kernelIcon,
    question: trans.__('Use which session for this notebook?'),
    headline: ({ name }) => trans.__('Cannot use %1', name),
    prepare: () => {
      const notebook = currentNotebook(env);
      return (
        notebook &&
        (async name => {
          await notebook.sessionContext.changeKernel({ name });
        })
      );
    }
  });
}

/** The commands for notebooks on sessions. */
export function notebookCommands(env: ICommandEnv): Record<string, Command> {
  const { commands, shell } = env.app;
  shell.currentChanged?.connect(() =>
    commands.notifyCommandChanged(CommandIDs.useForNotebook)
  );
  return {
    [CommandIDs.openNotebook]: openNotebook(env),
    [CommandIDs.useForNotebook]: useForNotebook(env)
  };
}
