import { Notification } from '@jupyterlab/apputils';
import { closeIcon, notebookIcon, saveIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { titleOf } from '../form/check';
import type { IKernelSource } from '../form/kernel';
import { isLive } from '../status';
import { CommandIDs, type IKernel } from '../tokens';
import { askForKernel } from '../widgets/dialog';
import { attempt, confirm, folderOf, type IQuestion } from './prompts';
import type { ICommandEnv } from './env';
import { hasNotebooks, startNotebook } from './notebooks';
import { isAboutOne, SESSION_ARGS } from './targets';

type Command = CommandRegistry.ICommandOptions;

const KERNEL_ARGS = {
  type: 'object',
  properties: {
    name: { type: 'string', description: 'The name of the kernel' }
  }
} as const;

/** Ask for the name of a kernel, create the kernel, and offer a notebook with it. */
export async function saveKernel(
  source: IKernelSource,
  env: ICommandEnv
): Promise<void> {
  const { kernels, model, trans } = env;
  const backend = model.backend(source.backend ?? '');
  const where = backend ? titleOf(backend) : '';
  const name = await askForKernel(kernels, trans, source, where);
  if (name !== null) {
    const start = {
      label: trans.__('Start notebook'),
      callback: () => void startNotebook(name, folderOf({}, env), env)
    };
    const words = trans.__(
      'The kernel %1 is in the launcher and the kernel picker.',
      name
    );
    const actions = hasNotebooks(env) ? [start] : [];
    Notification.success(words, { autoClose: 5000, actions });
  }
}

function save(env: ICommandEnv): Command {
  const { targets, trans } = env;
  return {
    label: args =>
      isAboutOne(args)
        ? trans.__('Save as kernel…')
        : trans.__('Save session as kernel…'),
    caption: trans.__(
      'Create a kernel with the image and resources of a session'
    ),
    icon: saveIcon,
    describedBy: { args: SESSION_ARGS },
    isEnabled: args => targets.exists(args, isLive),
    execute: async args => {
      const title = trans.__('Create a kernel like which session?');
      const session = await targets.resolve(args, isLive, title);
      if (session) {
        const { backend, image, resources } = session;
        await saveKernel({ backend, image, resources }, env);
      }
    }
  };
}

function find(
  { name }: ReadonlyPartialJSONObject,
  { kernels }: ICommandEnv
): IKernel | undefined {
  return kernels.saved.find(kernel => kernel.name === name);
}

function start(env: ICommandEnv): Command {
  const { trans } = env;
  return {
    label: trans.__('Start notebook'),
    caption: trans.__('Open a new notebook with the kernel'),
    icon: notebookIcon,
    describedBy: { args: KERNEL_ARGS },
    isEnabled: args => hasNotebooks(env) && !!find(args, env),
    execute: async args => {
      const kernel = find(args, env);
      if (kernel) {
        await startNotebook(kernel.name, folderOf(args, env), env);
      }
    }
  };
}

function removeQuestion({ title }: IKernel, { trans }: ICommandEnv): IQuestion {
  return {
    title: trans.__('Remove the kernel %1?', title),
    body: trans.__(
      'Sessions keep running. Notebooks with this kernel ask for another one.'
    ),
    yes: trans.__('Remove')
  };
}

function remove(env: ICommandEnv): Command {
  const { kernels, trans } = env;
  return {
    label: trans.__('Remove kernel…'),
    caption: trans.__(
      'Remove the kernel from the launcher and the kernel picker'
    ),
    icon: closeIcon,
    describedBy: { args: KERNEL_ARGS },
    isEnabled: args => !!find(args, env),
    execute: async args => {
      const kernel = find(args, env);
      if (kernel && (await confirm(removeQuestion(kernel, env), env))) {
        const headline = trans.__('Cannot remove %1', kernel.title);
        await attempt(headline, () => kernels.remove(kernel.name), env);
      }
    }
  };
}

/** The commands for kernels on sessions. */
export function kernelCommands(env: ICommandEnv): Record<string, Command> {
  return {
    [CommandIDs.saveKernel]: save(env),
    [CommandIDs.startKernel]: start(env),
    [CommandIDs.removeKernel]: remove(env)
  };
}
