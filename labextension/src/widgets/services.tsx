import { launchIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { serviceURL } from '../api';
import { isRunning } from '../status';
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

/** What a session serves to a browser. */
export function ServiceLinks(props: {
  env: IPanelEnv;
  session: ISession;
}): JSX.Element | null {
  const { env, session } = props;
  if (!session.services?.length) {
    return null;
  }
  return (
    <div className="jp-Sessions-services">
      {session.services.map(service => (
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
