import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

interface ISectionProps {
  /** The section's name, which is unique and part of element ids. */
  name: string;
  title: string;
  count: number;
  startsOpen: boolean;

  /** Further buttons of the heading. */
  actions?: React.ReactNode;

  /** Whether the content may be out of date. */
  isStale?: boolean;
  children: React.ReactNode;
}

/** A part of the panel that its heading folds. */
export function Section(props: ISectionProps): JSX.Element {
  const { name, title, count, startsOpen, actions, isStale, children } = props;
  const [isOpen, setOpen] = React.useState(startsOpen);
  const Caret = (isOpen ? caretDownIcon : caretRightIcon).react;
  const bodyId = `jp-Sessions-section-${name}`;
  return (
    <section
      className="jp-Sessions-section"
      data-group={name}
      data-stale={!!isStale}
      aria-label={title}
    >
      <h3 className="jp-Sessions-heading">
        <button
          className="jp-Sessions-fold"
          aria-expanded={isOpen}
          aria-controls={bodyId}
          onClick={() => setOpen(!isOpen)}
        >
          <Caret tag="span" aria-hidden={true} />
          <span className="jp-Sessions-title">{title}</span>
          {count > 0 && (
            <span className="jp-Sessions-count">{count.toLocaleString()}</span>
          )}
        </button>
        {actions}
      </h3>
      <div id={bodyId} hidden={!isOpen}>
        {isOpen && children}
      </div>
    </section>
  );
}
