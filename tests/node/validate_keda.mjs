// Ends with 1 if the ScaledObject on standard input does not fit KEDA's schema.
import { readFileSync } from "node:fs";
import { ScaledObject } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject";

new ScaledObject(JSON.parse(readFileSync(0, "utf8"))).validate();
