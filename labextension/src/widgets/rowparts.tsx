import { Button, launchIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

/** The list of rows. */
export const RowList = React.forwardRef<
  HTMLUListElement,
  React.HTMLAttributes<HTMLUListElement>
>((props, ref) => <ul {...props} ref={ref} className="jp-Sessions-rows" />);
RowList.displayName = 'RowList';

interface IPartProps {
  children: React.ReactNode;
}

/** The first line of a row: its title and buttons. */
export function RowHead({ children }: IPartProps): JSX.Element {
  return (
    <div className="jp-Sessions-rowHead" role="gridcell">
      {children}
    </div>
  );
}

/** The details of a row. */
export function RowDetails({ children }: IPartProps): JSX.Element {
  return (
    <div className="jp-Sessions-details" role="gridcell">
      {children}
    </div>
  );
}

/** The links of a row. */
export function RowLinks({ children }: IPartProps): JSX.Element {
  return (
    <div className="jp-Sessions-links" role="gridcell">
      {children}
    </div>
  );
}

interface IRowLinkProps {
  label: string;
  title?: string;

  /** The address to open in a new tab; null if there is none yet. */
  href?: string | null;

  /** The action for a plain click; other clicks open the address. */
  onClick?: () => void;
}

/** A link of a row, to an address or to an action in JupyterLab. */
export function RowLink(props: IRowLinkProps): JSX.Element {
  const { label, title, href, onClick } = props;
  const common = { className: 'jp-Sessions-link', title, tabIndex: -1 };
  const act = (event: React.MouseEvent): void => {
    // These keys open the address in a new tab or window.
    if (onClick && !(event.ctrlKey || event.metaKey || event.shiftKey)) {
      event.preventDefault();
      onClick();
    }
  };
  if (onClick && !href) {
    return (
      <button {...common} onClick={onClick}>
        {label}
      </button>
    );
  }
  return href ? (
    <a
      {...common}
      href={href}
      target="_blank"
      rel="noopener noreferrer"
      onClick={act}
    >
      {label}
      <launchIcon.react tag="span" aria-hidden={true} />
    </a>
  ) : (
    <a {...common} role="link" aria-disabled={true}>
      {label}
    </a>
  );
}

/** A button below rows. */
export function ListButton(props: {
  label: string;
  onClick: () => void;
}): JSX.Element {
  return (
    <Button
      minimal={true}
      className="jp-Sessions-listButton"
      onClick={props.onClick}
    >
      {props.label}
    </Button>
  );
}
