import { launchIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { serviceURL } from '../api';
import { isRunning } from '../status';
import { CommandIDs } from '../tokens';
import type { IService, ISession } from '../types';
import type { IPanelEnv } from './env';

interface ILinkProps {
  env: IPanelEnv;
  service: IService;
  enabled: boolean;
}

function ServiceLink({ env, service, enabled }: ILinkProps): JSX.Element {
  const { baseUrl, trans } = env;
  const href = enabled ? serviceURL(service.url, baseUrl) : null;
  if (!href) {
    return (
      <a
        role="link"
        aria-disabled={true}
        className="jp-Sessions-service"
        title={
          enabled
            ? trans.__('Has no address that a browser can open')
            : trans.__('Opens once the session is running')
        }
      >
        {service.name}
      </a>
    );
  }
  return (
    <a
      className="jp-Sessions-service"
      href={href}
      target="_blank"
      rel="noopener noreferrer"
      title={trans.__('Open %1 in a new tab', service.name)}
    >
      {service.name}
      <launchIcon.react tag="span" aria-hidden={true} />
    </a>
  );
}

interface ISessionProps {
  env: IPanelEnv;
  session: ISession;
}

function NotebookLink({ env, session }: ISessionProps): JSX.Element | null {
  const { commands, trans } = env;
  const { backend, id, name } = session;
  const open = (): void =>
    void commands.execute(CommandIDs.openNotebook, { backend, id });
  return (
    <button
      className="jp-Sessions-service"
      title={trans.__('Open a new notebook that runs in %1', name)}
      onClick={open}
    >
      {trans.__('Open notebook')}
    </button>
  );
}

interface ILinksProps extends ISessionProps {
  hasNotebook: boolean;
}

/** What a session offers: notebooks, and services to a browser. */
export function ServiceLinks(props: ILinksProps): JSX.Element | null {
  const { env, session, hasNotebook } = props;
  const services = session.services ?? [];
  if (services.length === 0 && !hasNotebook) {
    return null;
  }
  return (
    <div className="jp-Sessions-services">
      {hasNotebook && <NotebookLink env={env} session={session} />}
      {services.map(service => (
        <ServiceLink
          key={service.name}
          env={env}
          service={service}
          enabled={isRunning(session)}
        />
      ))}
    </div>
  );
}
