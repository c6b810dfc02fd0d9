import { useState } from "react";
import { Button } from "./Button";
import { Dialog } from "./Dialog";
import { Facts } from "./Facts";
import { ALL_WORDS, WORDS, type Word } from "./words";

/** Explains words of the page in a dialog: those of one place, or all. */
export function WordsButton({ of = ALL_WORDS }: { of?: readonly Word[] }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <Button kind="link" onClick={() => setOpen(true)}>
        Words
      </Button>
      {isOpen && (
        <Dialog title="What the words mean" closeText="Close" onClose={() => setOpen(false)}>
          <Facts facts={of.map((word) => WORDS[word])} />
          <p className="field-hint">docs/glossary.md has all words of Covey.</p>
        </Dialog>
      )}
    </>
  );
}
