import { Button, ellipsesIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { isExpiring } from '../ends';
import { capitalized, formatLeft } from '../format';
import { CommandIDs } from '../tokens';
import type { IBackend } from '../types';
import type { IPanelEnv } from './env';
import { IconButton } from './iconbutton';
import { openCommands } from './menu';

interface IAccessProps {
  env: IPanelEnv;
  backend: IBackend;
}

const COMMANDS = [
  CommandIDs.signIn,
  CommandIDs.signOut,
  CommandIDs.removeBackend
];

/** The buttons of a heading for the credentials of its backend; none for this machine. */
export function AccessButtons({
  env,
  backend
}: IAccessProps): JSX.Element | null {
  const { commands, trans } = env;
  const { name, refused, sign_in } = backend;
  if (!sign_in?.methods.length && !backend.removable) {
    return null;
  }
  const args = { backend: name };
  const title = backend.title || name;
  return (
    <>
      {refused && !!sign_in?.methods.length && (
        <Button
          minimal={true}
          className="jp-Sessions-signIn"
          aria-label={trans.__('Sign in to %1', title)}
          onClick={() => void commands.execute(CommandIDs.signIn, args)}
        >
          {trans.__('Sign in')}
        </Button>
      )}
      <IconButton
        label={trans.__('More about %1', title)}
        title={trans.__('More about %1', title)}
        icon={ellipsesIcon}
        hasPopup={true}
        onClick={event =>
          openCommands([COMMANDS], args, title, event.currentTarget, env)
        }
      />
    </>
  );
}

/** Shows who is signed in, and when the credentials expire. */
export function AccessNote({ env, backend }: IAccessProps): JSX.Element | null {
  const { trans } = env;
  const { who, signed_in, expires, renew } = backend.sign_in ?? {};
  const now = Date.now();
  const parts = [
    signed_in &&
      (who ? trans.__('Signed in as %1', who) : trans.__('Signed in'))
  ];
  if (expires) {
    const left = Date.parse(expires) - now;
    parts.push(
      left > 0
        ? trans.__('access for %1', formatLeft(left, trans))
        : trans.__('access has expired')
    );
  }
  const isUrgent = !!expires && isExpiring(expires, now);
  const words = parts.filter(Boolean).join(' · ');
  return words ? (
    <div
      className="jp-Sessions-access"
      data-urgent={isUrgent}
      title={expires ? new Date(expires).toLocaleString() : undefined}
    >
      <span>{capitalized(words)}</span>
      {isUrgent && renew && (
        <>
          {' · '}
          <code>{renew}</code>
        </>
      )}
    </div>
  ) : null;
}
