import { InputDialog, Notification } from '@jupyterlab/apputils';
import { addIcon, closeIcon } from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { titleOf } from '../form/check';
import { CommandIDs } from '../tokens';
import type { IBackend } from '../types';
import { askForBackend, askToSignIn } from '../widgets/dialog';
import { attempt, confirm, type IQuestion } from './prompts';
import type { ICommandEnv } from './env';

type Command = CommandRegistry.ICommandOptions;
type Args = ReadonlyPartialJSONObject;

const BACKEND_ARGS = {
  type: 'object',
  properties: {
    backend: { type: 'string', description: 'The name of the backend' }
  }
} as const;

function takesCredentials({ sign_in }: IBackend): boolean {
  return !!sign_in?.methods.length;
}

/** The backend in the arguments, otherwise the only suitable one or one that the person picks. */
async function resolve(
  args: Args,
  suits: (backend: IBackend) => boolean,
  title: string,
  { model }: ICommandEnv
): Promise<IBackend | undefined> {
  if (typeof args.backend === 'string') {
    return model.backends.find(b => b.name === args.backend && suits(b));
  }
  const candidates = model.backends.filter(suits);
  if (candidates.length < 2) {
    return candidates[0];
  }
  const items = candidates.map(titleOf);
  const { value } = await InputDialog.getItem({ title, items });
  return value === null ? undefined : candidates[items.indexOf(value)];
}

function exists(
  args: Args,
  suits: (backend: IBackend) => boolean,
  { model }: ICommandEnv
): boolean {
  return model.backends.some(
    each => (args.backend ?? each.name) === each.name && suits(each)
  );
}

function signIn(env: ICommandEnv): Command {
  const { model, trans } = env;
  return {
    label: args =>
      args.backend ? trans.__('Sign in…') : trans.__('Sign in to a backend…'),
    caption: trans.__('Enter the credentials for a backend'),
    describedBy: { args: BACKEND_ARGS },
    isEnabled: args => exists(args, takesCredentials, env),
    execute: async args => {
      if (model.backends.length === 0) {
        await model.loadBackends();
      }
      const title = trans.__('Sign in to which backend?');
      const backend = await resolve(args, takesCredentials, title, env);
      return backend ? askToSignIn(model, trans, backend) : false;
    }
  };
}

function signOut(env: ICommandEnv): Command {
  const { model, trans } = env;
  const suits = ({ sign_in }: IBackend): boolean => !!sign_in?.signed_in;
  return {
    label: args =>
      args.backend ? trans.__('Sign out') : trans.__('Sign out of a backend'),
    caption: trans.__('Forget the credentials for a backend'),
    describedBy: { args: BACKEND_ARGS },
    isEnabled: args => exists(args, suits, env),
    execute: async args => {
      const title = trans.__('Sign out of which backend?');
      const backend = await resolve(args, suits, title, env);
      if (backend) {
        const headline = trans.__('Cannot sign out of %1', titleOf(backend));
        await attempt(headline, () => model.signOut(backend.name), env);
      }
    }
  };
}

function add(env: ICommandEnv): Command {
  const { app, model, trans } = env;
  return {
    label: trans.__('Add backend…'),
    caption: trans.__('Add the sessions of another cluster or platform'),
    icon: addIcon,
    execute: async () => {
      if (model.types.length === 0) {
        await model.loadBackends();
      }
      const added = await askForBackend(model, trans, model.types);
      if (!added) {
        return null;
      }
      const words = trans.__('Added %1: %2', added.name, added.found);
      Notification.success(words, { autoClose: 5000 });
      const { name } = added;
      if (model.backend(name)?.refused) {
        await app.commands.execute(CommandIDs.signIn, { backend: name });
      }
      return name;
    }
  };
}

function takeOver(env: ICommandEnv): Command {
  const { model, trans } = env;
  const suits = ({ name }: IBackend): boolean =>
    !!model.notices[name]?.take_over;
  return {
    label: trans.__('Take over sessions of an earlier version'),
    caption: trans.__('The sessions keep running'),
    describedBy: { args: BACKEND_ARGS },
    isEnabled: args => exists(args, suits, env),
    execute: async args => {
      const title = trans.__('Take over on which backend?');
      const backend = await resolve(args, suits, title, env);
      if (backend) {
        const headline = trans.__('Cannot take over on %1', titleOf(backend));
        await attempt(headline, () => model.takeOver(backend.name), env);
      }
    }
  };
}

function removeQuestion(backend: IBackend, { trans }: ICommandEnv): IQuestion {
  return {
    title: trans.__('Remove %1?', titleOf(backend)),
    body: trans.__('Its sessions keep running, but are no longer shown here.'),
    yes: trans.__('Remove')
  };
}

function remove(env: ICommandEnv): Command {
  const { model, trans } = env;
  const suits = ({ removable }: IBackend): boolean => !!removable;
  return {
    label: args =>
      args.backend ? trans.__('Remove…') : trans.__('Remove backend…'),
    caption: trans.__('Remove a backend that was added here'),
    icon: closeIcon,
    describedBy: { args: BACKEND_ARGS },
    isEnabled: args => exists(args, suits, env),
    execute: async args => {
      const title = trans.__('Remove which backend?');
      const backend = await resolve(args, suits, title, env);
      if (backend && (await confirm(removeQuestion(backend, env), env))) {
        const headline = trans.__('Cannot remove %1', titleOf(backend));
        await attempt(headline, () => model.removeBackend(backend.name), env);
      }
    }
  };
}

/** The commands for backends and credentials. */
export function backendCommands(env: ICommandEnv): Record<string, Command> {
  return {
    [CommandIDs.signIn]: signIn(env),
    [CommandIDs.signOut]: signOut(env),
    [CommandIDs.addBackend]: add(env),
    [CommandIDs.takeOver]: takeOver(env),
    [CommandIDs.removeBackend]: remove(env)
  };
}
