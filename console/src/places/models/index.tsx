import { useState } from "react";
import { $api } from "../../api/client";
import { hrefOf, navigate, useRoute } from "../../app/routes";
import { useMay } from "../../app/session";
import { Command } from "../../design/Command";
import { Empty } from "../../design/Empty";
import { Select } from "../../design/Field";
import { Loaded } from "../../design/Loaded";
import { Page } from "../../design/Page";
import { AnswersCard } from "./AnswersCard";
import { DeleteDialog, RollBackDialog } from "./ChangeDialogs";
import "./models.css";
import { PromoteDialog } from "./PromoteDialog";
import { ServingCard } from "./ServingCard";
import type { Model } from "./types";
import { VersionDetails } from "./VersionDetails";
import { VersionsCard } from "./VersionsCard";
import { type Choice, presentChoice, single } from "./weights";

type Question =
  | { kind: "promote"; start: Choice }
  | { kind: "roll back" }
  | { kind: "delete"; version: number | undefined };

export default function Models() {
  const { path } = useRoute();
  const query = $api.useQuery("get", "/console/api/models");
  const models = query.data?.models ?? [];
  const model = models.find((one) => one.name === path[0]) ?? models[0];
  return (
    <Page
      title="Models"
      lead="The versions of each model: their tests, their shares of the requests, and what each was made from."
      tools={
        model !== undefined && (
          <Select
            label="Model"
            value={model.name}
            options={models.map((one) => [one.name, one.name])}
            onChange={(name) => navigate(hrefOf("models", [name]))}
          />
        )
      }
    >
      <Loaded query={query} label="the models">
        {(found) =>
          model === undefined ? (
            <>
              <Empty>This store has no model yet.</Empty>
              <Command about="Trains one">{found.train_command}</Command>
            </>
          ) : (
            <ModelShown key={model.name} model={model} serving={found.serving} />
          )
        }
      </Loaded>
    </Page>
  );
}

function ModelShown({ model, serving }: { model: Model; serving: string | null }) {
  const mayChange = useMay("operator");
  const [shown, setShown] = useState<number>();
  const [question, setQuestion] = useState<Question>();
  const version = model.versions.find((one) => one.version === shown);
  const close = () => setQuestion(undefined);
  return (
    <>
      <ServingCard
        model={model}
        mayChange={mayChange}
        onPromote={() => setQuestion({ kind: "promote", start: presentChoice(model) })}
        onRollBack={() => setQuestion({ kind: "roll back" })}
        onDelete={() => setQuestion({ kind: "delete", version: undefined })}
      />
      <VersionsCard
        model={model}
        shown={shown}
        mayChange={mayChange}
        onShow={(one) => setShown(one === shown ? undefined : one)}
        onPromote={(one) => setQuestion({ kind: "promote", start: single(one) })}
        onDelete={(one) => setQuestion({ kind: "delete", version: one })}
      />
      {version !== undefined && <VersionDetails name={model.name} version={version} />}
      <AnswersCard model={model} serving={serving} />
      {question?.kind === "promote" && <PromoteDialog model={model} start={question.start} onClose={close} />}
      {question?.kind === "roll back" && <RollBackDialog model={model} onClose={close} />}
      {question?.kind === "delete" && (
        <DeleteDialog model={model} version={question.version} onClose={close} />
      )}
    </>
  );
}
