import { Button } from '@jupyterlab/ui-components';
import * as React from 'react';

import { capacityParts } from '../format';
import { CommandIDs } from '../tokens';
import type { ISession } from '../types';
import { AccessButtons, AccessNote } from './access';
import type { IPanelEnv } from './env';
import { EmptyNote, ErrorBox } from './notes';
import { SessionRows } from './rows';
import { Section } from './section';

interface ITroubleProps {
  env: IPanelEnv;
  message: string;
  hint?: string | null;
}

/** A button with a remedy for an error or a notice. */
function Remedy(props: {
  label: string;
  title?: string;
  onClick: () => void;
}): JSX.Element {
  const { label, title, onClick } = props;
  return (
    <Button
      minimal={true}
      className="jp-Sessions-retry"
      title={title}
      onClick={onClick}
    >
      {label}
    </Button>
  );
}

/** An error, what to do about it, and a button to try again. */
export function Trouble({ env, message, hint }: ITroubleProps): JSX.Element {
  const retry = (): void => void env.commands.execute(CommandIDs.refresh);
  return (
    <ErrorBox message={message} hint={hint}>
      <Remedy label={env.trans.__('Try again')} onClick={retry} />
    </ErrorBox>
  );
}

function Capacity({ env, name }: IBackendProps): JSX.Element | null {
  const parts = capacityParts(env.model.backend(name)?.capacity);
  if (parts.length === 0) {
    return null;
  }
  const last = parts.pop()!;
  return (
    <div className="jp-Sessions-capacity">
      {parts.map(part => (
        <React.Fragment key={part}>
          <span>{part} ·</span>{' '}
        </React.Fragment>
      ))}
      <span>{env.trans.__('%1 free', last)}</span>
    </div>
  );
}

function NoRows({ env, name, isFiltered }: IGroupProps): JSX.Element | null {
  const { trans, model } = env;
  if (model.errors[name] || !model.isLoaded) {
    return null;
  }
  return (
    <EmptyNote>
      {isFiltered ? trans.__('No session matches.') : trans.__('No sessions.')}
    </EmptyNote>
  );
}

interface IBackendProps {
  env: IPanelEnv;
  name: string;
}

interface IGroupProps extends IBackendProps {
  /** The sessions to show, which may be filtered. */
  sessions: readonly ISession[];
  isFiltered: boolean;
}

/** A notice about a backend, with a remedy. */
function BackendNotice({ env, name }: IBackendProps): JSX.Element {
  const { commands, model, trans } = env;
  const { message, hint, take_over } = model.notices[name];
  const takeOver = (): void =>
    void commands.execute(CommandIDs.takeOver, { backend: name });
  return (
    <ErrorBox message={message} hint={take_over ? null : hint}>
      {take_over && (
        <Remedy
          label={trans.__('Take over')}
          title={trans.__('The sessions keep running')}
          onClick={takeOver}
        />
      )}
    </ErrorBox>
  );
}

/** A backend with its capacity, errors and sessions. */
export function BackendGroup(props: IGroupProps): JSX.Element {
  const { env, name, sessions } = props;
  const { model } = env;
  const backend = model.backend(name);
  const title = backend?.title || name;
  const error = model.errors[name];
  return (
    <Section
      name={name}
      title={title}
      count={model.live(name).length}
      startsOpen={true}
      isStale={!!error || !!model.failure}
      actions={backend && <AccessButtons env={env} backend={backend} />}
    >
      {backend && <AccessNote env={env} backend={backend} />}
      <Capacity env={env} name={name} />
      {model.notices[name] ? (
        <BackendNotice env={env} name={name} />
      ) : (
        error && <Trouble env={env} message={error} />
      )}
      {sessions.length > 0 ? (
        <SessionRows env={env} label={title} sessions={sessions} />
      ) : (
        <NoRows {...props} />
      )}
    </Section>
  );
}

/** The sessions that ended since the page was loaded, with the reasons. */
export function EndedGroup({ env }: { env: IPanelEnv }): JSX.Element | null {
  const { model, trans } = env;
  const title = trans.__('Recently ended');
  return model.ended.length > 0 ? (
    <Section
      name="ended"
      title={title}
      count={model.ended.length}
      startsOpen={false}
    >
      <SessionRows env={env} label={title} sessions={model.ended} />
    </Section>
  ) : null;
}
