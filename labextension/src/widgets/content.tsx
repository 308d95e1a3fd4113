import { InputGroup } from '@jupyterlab/ui-components';
import * as React from 'react';

import { statusLabel } from '../status';
import { CommandIDs, type ISessionsModel } from '../tokens';
import type { ISession } from '../types';
import { VERSION } from '../version';
import { wordsForList, wordsForVersions } from '../errormessages';
import type { IPanelEnv } from './env';
import { BackendGroup, EndedGroup, Trouble } from './groups';
import { KernelsGroup } from './kernels';
import { EmptyNote, ErrorBox } from './notes';
import { ListButton } from './rowparts';

/** The fewest sessions for which the filter is shown. */
const FILTER_FROM = 8;

function backendNames(model: ISessionsModel): string[] {
  const known = model.backends.map(backend => backend.name);
  return [
    ...new Set([...known, ...model.populated, ...Object.keys(model.errors)])
  ];
}

function filtered(
  sessions: readonly ISession[],
  filter: string,
  env: IPanelEnv
): readonly ISession[] {
  const wanted = filter.trim().toLowerCase();
  if (!wanted) {
    return sessions;
  }
  return sessions.filter(({ name, image, status, id }) =>
    [name, image, id, statusLabel(status, env.trans)].some(text =>
      text?.toLowerCase().includes(wanted)
    )
  );
}

function Filter(props: {
  env: IPanelEnv;
  value: string;
  onChange: (value: string) => void;
}): JSX.Element {
  const label = props.env.trans.__('Filter sessions');
  return (
    <div className="jp-Sessions-filter">
      <InputGroup
        type="search"
        aria-label={label}
        placeholder={label}
        rightIcon="ui-components:search"
        value={props.value}
        onChange={event => props.onChange(event.currentTarget.value)}
      />
    </div>
  );
}

function Notice({ env }: { env: IPanelEnv }): JSX.Element | null {
  const { model, trans } = env;
  const { failure } = model;
  if (failure) {
    return (
      <Trouble env={env} {...wordsForList(failure, trans, model.upToDate)} />
    );
  }
  return model.isLoaded ? null : (
    <EmptyNote role="status">{trans.__('Loading…')}</EmptyNote>
  );
}

/** Shows how to finish an upgrade if page and server have different versions. */
function Versions({ env }: { env: IPanelEnv }): JSX.Element | null {
  const words = wordsForVersions(VERSION, env.model.about, env.trans);
  return words && <ErrorBox {...words} />;
}

function AddBackend({ env }: { env: IPanelEnv }): JSX.Element | null {
  const { commands, model, trans } = env;
  const add = (): void => void commands.execute(CommandIDs.addBackend);
  return model.types.length > 0 ? (
    <ListButton label={trans.__('Add backend…')} onClick={add} />
  ) : null;
}

/** Everything below the toolbar. */
export function PanelContent({ env }: { env: IPanelEnv }): JSX.Element {
  const { model } = env;
  const [filter, setFilter] = React.useState('');
  const hasFilter = filter !== '' || model.size >= FILTER_FROM;
  return (
    <>
      <Versions env={env} />
      <Notice env={env} />
      {hasFilter && <Filter env={env} value={filter} onChange={setFilter} />}
      <div className="jp-Sessions-list">
        {backendNames(model).map(name => (
          <BackendGroup
            key={name}
            env={env}
            name={name}
            sessions={filtered(model.live(name), filter, env)}
            isFiltered={filter.trim() !== ''}
          />
        ))}
        <KernelsGroup env={env} />
        <EndedGroup env={env} />
        <AddBackend env={env} />
      </div>
    </>
  );
}
