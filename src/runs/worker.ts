/** Entry point of the training process (started by launch.ts). The only file of runs/ that loads the experiment. */
import { serveWorker } from "./worker-loop.js";

serveWorker(() => import("../experiment/run.js"));
