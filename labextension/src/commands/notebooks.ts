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
import { attempt, folderOf } from './asking';
import type { ICommandEnv } from './env';
import { isAboutOne, SESSION_ARGS } from './targets';

type Context = NonNullable<ReturnType<IDocumentManager['contextForWidget']>>;
type Command = CommandRegistry.ICommandOptions;

/** The application's own command, in JupyterLab and in Notebook 7. */
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

/** The notebook in front, if one is. */
function currentNotebook({ app, documents }: ICommandEnv): Context | null {
  const widget = app.shell.currentWidget;
  const context = widget && documents?.contextForWidget(widget);
  return context?.contentsModel?.type === 'notebook' ? context : null;
}

/** What tells apart the commands that join a notebook to a session. */
interface IJoining {
  /** Beside the session, and elsewhere. */
  labels: [string, string];
  caption: string;
  icon: LabIcon;

  /** Asked when it is not clear which session is meant. */
  question: string;

  /** Said when that fails. */
  headline: (session: ISession) => string;

  /** What joins with a kernel the notebook that there is now; null for none. */
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
    caption: trans.__('Run the notebook in front in a session from now on'),
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

/** The commands that bring notebooks to sessions. */
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
