import { MenuSvg } from '@jupyterlab/ui-components';
import type { ReadonlyJSONObject } from '@lumino/coreutils';

import { CommandIDs } from '../tokens';
import type { ISessionRef } from '../vocabulary';
import type { IPanelEnv } from './env';

/** The commands for a session, in groups. */
const GROUPS = [
  [CommandIDs.openNotebook, CommandIDs.useForNotebook, CommandIDs.saveKernel],
  [CommandIDs.openService, CommandIDs.copyMagic],
  [CommandIDs.restart, CommandIDs.terminate]
];

/** Open the menu of a session below a button. */
export function openMenu(
  { backend, id }: ISessionRef,
  button: HTMLElement,
  env: IPanelEnv
): void {
  const title = env.trans.__('Session');
  openCommands(GROUPS, { backend, id }, title, button, env);
}

/** Open a menu of commands below a button, which gets the focus back afterwards. */
export function openCommands(
  groups: string[][],
  args: ReadonlyJSONObject,
  title: string,
  button: HTMLElement,
  { commands }: IPanelEnv
): void {
  const menu = new MenuSvg({ commands });
  menu.title.label = title;
  groups.forEach((group, index) => {
    if (index > 0) {
      menu.addItem({ type: 'separator' });
    }
    group.forEach(command => menu.addItem({ command, args }));
  });
  menu.aboutToClose.connect(() => {
    button.focus();
    // The selected command still needs the menu
    requestAnimationFrame(() => menu.dispose());
  });
  const { left, bottom } = button.getBoundingClientRect();
  menu.open(left, bottom);
}
