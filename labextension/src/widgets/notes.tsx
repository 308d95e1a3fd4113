import * as React from 'react';

interface IErrorBoxProps {
  message: string;
  hint?: string | null;

  /** Remedies, shown below the text. */
  children?: React.ReactNode;
}

/** An error and what to do about it. */
export function ErrorBox(props: IErrorBoxProps): JSX.Element {
  const { message, hint, children } = props;
  return (
    <div className="jp-Sessions-error" role="alert">
      <div>{message}</div>
      {hint && <div>{hint}</div>}
      {children}
    </div>
  );
}

/** A sentence in place of missing rows. */
export function EmptyNote(props: {
  role?: 'status';
  children: React.ReactNode;
}): JSX.Element {
  return (
    <div className="jp-Sessions-empty" role={props.role}>
      {props.children}
    </div>
  );
}
