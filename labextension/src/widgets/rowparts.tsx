import { Button, launchIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

/** The list that rows are in. */
export const RowList = React.forwardRef<
  HTMLUListElement,
  React.HTMLAttributes<HTMLUListElement>
>((props, ref) => <ul {...props} ref={ref} className="jp-Sessions-rows" />);
RowList.displayName = 'RowList';

interface IPartProps {
  children: React.ReactNode;
}

/** The first line of a row: what it is called, and its buttons. */
export function RowHead({ children }: IPartProps): JSX.Element {
  return (
    <div className="jp-Sessions-rowHead" role="gridcell">
      {children}
    </div>
  );
}

/** What a row's session is like. */
export function RowDetails({ children }: IPartProps): JSX.Element {
  return (
    <div className="jp-Sessions-details" role="gridcell">
      {children}
    </div>
  );
}

/** What a row opens. */
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

  /** An address that opens in a new tab; null where there is none yet. */
  href?: string | null;

  /** What to do; a link that has an address, too, opens that only in other ways than by a click. */
  onClick?: () => void;
}

/** A link of a row, which arrow keys reach: to an address, or to something in JupyterLab. */
export function RowLink(props: IRowLinkProps): JSX.Element {
  const { label, title, href, onClick } = props;
  const common = { className: 'jp-Sessions-link', title, tabIndex: -1 };
  const act = (event: React.MouseEvent): void => {
    // With one of these keys a person asks for a tab or window of their own.
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
