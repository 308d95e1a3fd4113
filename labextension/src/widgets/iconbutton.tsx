import type { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

interface IIconButtonProps {
  label: string;
  title: string;
  icon: LabIcon;
  onClick: (event: React.MouseEvent<HTMLButtonElement>) => void;

  /** A disabled button stays focusable, so that the focus is not lost while a session ends. */
  isDisabled?: boolean;
  hasPopup?: boolean;

  /** Whether the arrow keys reach the button, and the Tab key does not. */
  isInRow?: boolean;
}

/** A small button of a row or a heading. */
export function IconButton(props: IIconButtonProps): JSX.Element {
  const { label, title, icon, onClick, isDisabled = false } = props;
  const { hasPopup, isInRow } = props;
  return (
    <button
      className="jp-Sessions-iconButton jp-mod-minimal jp-Button"
      aria-label={label}
      aria-disabled={isDisabled}
      aria-haspopup={hasPopup ? 'menu' : undefined}
      title={title}
      tabIndex={isInRow ? -1 : undefined}
      onClick={isDisabled ? undefined : onClick}
    >
      <icon.react tag="span" />
    </button>
  );
}
