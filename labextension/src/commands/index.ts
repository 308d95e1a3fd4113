import {
  Clipboard,
  IFrame,
  InputDialog,
  MainAreaWidget,
  Notification
} from '@jupyterlab/apputils';
import {
  copyIcon,
  launchIcon,
  refreshIcon,
  terminalIcon
} from '@jupyterlab/ui-components';
import type { CommandRegistry } from '@lumino/commands';

import { serviceURL } from '../api';
import { magicFor } from '../format';
import { NO_ROOM } from '../request';
import { isLive, isRunning } from '../status';
import { CommandIDs } from '../tokens';
import type { IService, ISession } from '../types';
import { confirm, refusalOf, tell } from './prompts';
import { backendCommands } from './backends';
import type { ICommandEnv } from './env';
import { kernelCommands } from './kernels';
import { lifecycleCommands } from './lifecycle';
import { notebookCommands } from './notebooks';
import { isAboutOne, referenceTo, SESSION_ARGS, Targets } from './targets';

/** The path of services that this server proxies, below its base URL. */
const OWN_SERVICES = 'jupyter-sessions/services/';

/** What pages of services may do in a tab of JupyterLab. */
const SANDBOX: IFrame.SandboxExceptions[] = [
  'allow-same-origin',
  'allow-scripts',
  'allow-forms',
  'allow-popups',
  'allow-downloads'
];

type Commands = Record<string, CommandRegistry.ICommandOptions>;

async function pickService(
  session: ISession,
  { trans }: ICommandEnv
): Promise<IService | undefined> {
  const services = session.services ?? [];
  if (services.length < 2) {
    return services[0];
  }
  const { value } = await InputDialog.getItem({
    title: trans.__('Open which service of %1?', session.name),
    items: services.map(service => service.name)
  });
  return services.find(service => service.name === value);
}

/** Start a proxied service. If its session lacks the memory, ask the person first. */
async function startService(
  session: ISession,
  { name, url }: IService,
  env: ICommandEnv
): Promise<boolean> {
  const { model, trans } = env;
  if (!url?.startsWith(OWN_SERVICES)) {
    return true;
  }
  const refusal = await refusalOf(() => model.startService(session, name));
  if (refusal?.reason !== NO_ROOM) {
    return true; // If something else is wrong, its page says what.
  }
  const { message, hint } = refusal;
  const question = {
    title: trans.__('Start %1 in %2?', name, session.name),
    body: [message, hint].filter(Boolean).join(' '),
    yes: trans.__('Start anyway')
  };
  if (!(await confirm(question, env))) {
    return false;
  }
  const headline = trans.__('Cannot start %1', name);
  const failure = await refusalOf(() =>
    model.startService(session, name, true)
  );
  if (failure) {
    tell(headline, failure, trans);
  }
  return !failure;
}

/** Show a service in a tab of JupyterLab, the one that shows it already if there is one. */
function showInTab(
  session: ISession,
  { name, title }: IService,
  url: string,
  { app, trans }: ICommandEnv
): void {
  const { shell } = app;
  const id = `jupyter-sessions-service:${session.backend}:${session.id}:${name}`;
  if (![...shell.widgets('main')].some(widget => widget.id === id)) {
    const content = new IFrame({ sandbox: SANDBOX });
    const isDark = document.body.dataset.jpThemeLight === 'false';
    content.url = `${url}${url.includes('?') ? '&' : '?'}theme=${isDark ? 'dark' : 'light'}`;
    const widget = new MainAreaWidget({ content });
    widget.id = id;
    widget.title.label = trans.__('%1 of %2', title || name, session.name);
    widget.title.icon = terminalIcon;
    widget.title.closable = true;
    shell.add(widget, 'main');
  }
  shell.activateById(id);
}

function openService(env: ICommandEnv): CommandRegistry.ICommandOptions {
  const { app, targets, trans } = env;
  const suits = (row: ISession): boolean =>
    isRunning(row) && !!row.services?.length;
  return {
    label: args =>
      isAboutOne(args)
        ? trans.__('Open service')
        : trans.__('Open service of a session'),
    caption: trans.__('Open a service of a session in a new tab'),
    icon: launchIcon,
    describedBy: { args: SESSION_ARGS },
    isEnabled: args => targets.exists(args, suits),
    execute: async args => {
      const title = trans.__('Open a service of which session?');
      const session = await targets.resolve(args, suits, title);
      const service =
        session?.services?.find(({ name }) => name === args.service) ??
        (session && (await pickService(session, env)));
      const { baseUrl } = app.serviceManager.serverSettings;
      const url = service && serviceURL(service.url, baseUrl);
      if (!url || !(await startService(session!, service, env))) {
        return;
      }
      if (service.new_tab === false) {
        showInTab(session!, service, url, env);
      } else {
        window.open(url, '_blank', 'noopener,noreferrer');
      }
    }
  };
}

function copyMagic(env: ICommandEnv): CommandRegistry.ICommandOptions {
  const { model, targets, trans } = env;
  return {
    label: args =>
      isAboutOne(args)
        ? trans.__('Copy as magic')
        : trans.__('Copy session as magic'),
    caption: trans.__('Copy the magic that runs a cell in the session'),
    icon: copyIcon,
    describedBy: { args: SESSION_ARGS },
    isEnabled: args => targets.exists(args, isLive),
    execute: async args => {
      const title = trans.__('Copy the magic for which session?');
      const session = await targets.resolve(args, isLive, title);
      if (session) {
        const magic = magicFor(referenceTo(session, model));
        Clipboard.copyToSystem(magic);
        Notification.info(trans.__('Copied: %1', magic), { autoClose: 3000 });
      }
    }
  };
}

function refresh(env: ICommandEnv): CommandRegistry.ICommandOptions {
  const { model, trans } = env;
  return {
    label: trans.__('Refresh sessions'),
    caption: trans.__('Refresh the list of compute sessions'),
    icon: refreshIcon,
    execute: async () => {
      await model.resync();
      await model.loadBackends();
    }
  };
}

/** Add the commands, and return their ids in the order of the palette. */
export function addCommands(given: Omit<ICommandEnv, 'targets'>): string[] {
  const { app, model } = given;
  const env = { ...given, targets: new Targets(model, app) };
  const commands: Commands = {
    ...lifecycleCommands(env),
    ...notebookCommands(env),
    ...backendCommands(env),
    [CommandIDs.openService]: openService(env),
    [CommandIDs.copyMagic]: copyMagic(env),
    [CommandIDs.refresh]: refresh(env)
  };
  const others = kernelCommands(env);
  for (const [id, options] of Object.entries({ ...commands, ...others })) {
    app.commands.addCommand(id, options);
  }
  return [...Object.keys(commands), CommandIDs.saveKernel];
}
