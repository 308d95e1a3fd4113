import { closeIcon, ellipsesIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { capitalized, formatResources, imageLabel } from '../format';
import { phaseIcons } from '../icons';
import {
  canServe,
  canTerminate,
  isLive,
  isWaiting,
  phaseOf,
  reasonLabel,
  statusLabel
} from '../status';
import { keyOf } from '../store';
import { CommandIDs } from '../tokens';
import type { ISession } from '../types';
import type { IPanelEnv } from './env';
import { IconButton } from './iconbutton';
import { openMenu } from './menu';
import { RowDetails, RowHead } from './rowparts';
import { ServiceLinks } from './services';

export interface IRowProps {
  env: IPanelEnv;
  session: ISession;

  /** Whether the Tab key reaches this row; arrow keys reach the others. */
  isCurrent: boolean;

  /** Whether notebooks can attach to the session. */
  hasNotebook: boolean;
}

function StatusIcon({ status }: { status: string }): JSX.Element {
  const phase = phaseOf(status);
  const Icon = phaseIcons[phase].react;
  return (
    <Icon
      tag="span"
      aria-hidden={true}
      className={`jp-Sessions-statusIcon jp-mod-${phase}`}
    />
  );
}

function TerminateButton({ env, session }: IRowProps): JSX.Element {
  const { commands, trans } = env;
  const { backend, id, name } = session;
  const [label, title] = isWaiting(session)
    ? [trans.__('Cancel'), trans.__('Cancel %1', name)]
    : [trans.__('Terminate'), trans.__('Terminate %1', name)];
  return (
    <IconButton
      label={label}
      title={title}
      icon={closeIcon}
      isDisabled={!canTerminate(session)}
      isInRow={true}
      onClick={() =>
        void commands.execute(CommandIDs.terminate, { backend, id })
      }
    />
  );
}

function MenuButton({ env, session }: IRowProps): JSX.Element {
  const { trans } = env;
  return (
    <IconButton
      label={trans.__('More actions')}
      title={trans.__('More actions for %1', session.name)}
      icon={ellipsesIcon}
      hasPopup={true}
      isInRow={true}
      onClick={event => openMenu(session, event.currentTarget, env)}
    />
  );
}

function Details({ env, session }: IRowProps): JSX.Element {
  return (
    <RowDetails>
      {session.image && (
        <span className="jp-Sessions-image" title={session.image}>
          {imageLabel(session.image)}
        </span>
      )}{' '}
      <span className="jp-Sessions-resources">
        {formatResources(session.resources)}
      </span>
      {session.here && (
        <span className="jp-Sessions-here">
          {' '}
          {env.trans.__('You are here')}
        </span>
      )}
    </RowDetails>
  );
}

function endTime(session: ISession): string {
  const time = session.terminated_at ?? session.status_changed;
  return time && !isLive(session)
    ? new Date(time).toLocaleTimeString([], { timeStyle: 'short' })
    : '';
}

function Status({ env, session }: IRowProps): JSX.Element {
  const label = statusLabel(session.status, env.trans);
  return (
    <span className="jp-Sessions-status">
      {[label, endTime(session)].filter(Boolean).join(', ')}
    </span>
  );
}

/** A session with its state, details, links and buttons. */
export const SessionRow = React.memo((props: IRowProps) => {
  const { env, session, isCurrent, hasNotebook } = props;
  const status = statusLabel(session.status, env.trans);
  return (
    <li
      className={`jp-Sessions-row jp-mod-${phaseOf(session.status)}`}
      role="row"
      tabIndex={isCurrent ? 0 : -1}
      data-row-key={keyOf(session)}
      aria-label={`${session.name}, ${status}`}
      data-session-name={session.name}
      data-session-id={session.id}
      data-backend={session.backend}
      data-status={session.status}
      data-live={isLive(session)}
    >
      <RowHead>
        <StatusIcon status={session.status} />
        <span className="jp-Sessions-name" title={session.name}>
          {session.name}
        </span>
        <Status {...props} />
        {isLive(session) && <MenuButton {...props} />}
        {isLive(session) && <TerminateButton {...props} />}
      </RowHead>
      <Details {...props} />
      {session.status_info && (
        <div className="jp-Sessions-info" role="gridcell">
          {capitalized(reasonLabel(session.status_info, env.trans))}
        </div>
      )}
      {canServe(session) && (
        <ServiceLinks env={env} session={session} hasNotebook={hasNotebook} />
      )}
    </li>
  );
});
SessionRow.displayName = 'SessionRow';
