// The words of the page in its languages; what the server says of its model stays English.
"use strict";

const TEXTS = {
  en: {
    title: "Do two questions ask the same?",
    tabs: "What to try",
    compare: "Compare",
    search: "Search",
    left: "First question",
    right: "Second question",
    similarity: "Similarity",
    probability: "Probability that they ask the same",
    from: "Same from a similarity of",
    why: "Which words carry the verdict",
    question: "A question, to be looked for among",
    show: "Show",
    questions: "Questions found",
    columns: ["question", "similarity", "verdict"],
    same: "They ask the same",
    different: "They ask different things",
    verdict: (duplicate) => (duplicate ? "same" : "different"),
    found: (rows, same) => `${rows} found, ${same} with the verdict “same”`,
    collection: (count, name) => `${count} questions in ${name}`,
    compareIt: "Compare it with what you asked",
    threshold: (similarity, threshold) => `${similarity}; the same from ${threshold}`,
    sides: ["the first question", "the second question", "the question"],
    unread: (share, side) => `The model knows ${share} of the words of ${side}: what it says of it is a guess.`,
    cut: (side) => `The end of ${side} is not read: it is too long.`,
    answers: (model) => `Answers come from ${model}.`,
    silent: "the server does not answer; is it still running?",
    failed: (status) => `the server failed (status ${status})`,
    examples: "Examples:",
    pairs: [
      ["How do I reset my password?", "I forgot my password, what now?"],
      ["Where is my parcel?", "When will my order arrive?"],
      ["How do I cancel my order?", "How do I cancel my subscription?"],
    ],
    asked: ["How do I get my money back?", "I cannot sign in", "My card was stolen"],
    server: {},
  },
  fr: {
    title: "Deux questions demandent-elles la même chose ?",
    tabs: "Que voulez-vous essayer ?",
    compare: "Comparer",
    search: "Chercher",
    left: "Première question",
    right: "Seconde question",
    similarity: "Similarité",
    probability: "Probabilité qu’elles demandent la même chose",
    from: "La même chose à partir d’une similarité de",
    why: "Les mots qui portent le verdict",
    question: "Une question à chercher parmi",
    show: "Montrer",
    questions: "Questions trouvées",
    columns: ["question", "similarité", "verdict"],
    same: "Elles demandent la même chose",
    different: "Elles demandent autre chose",
    verdict: (duplicate) => (duplicate ? "la même" : "une autre"),
    found: (rows, same) => `${rows} trouvées, dont ${same} avec le verdict « la même »`,
    collection: (count, name) => `${count} questions de ${name}`,
    compareIt: "La comparer avec votre question",
    threshold: (similarity, threshold) => `${similarity} ; la même chose à partir de ${threshold}`,
    sides: ["la première question", "la seconde question", "la question"],
    unread: (share, side) => `Le modèle connaît ${share} des mots de ${side} : ce qu’il en dit n’est qu’une supposition.`,
    cut: (side) => `La fin de ${side} n’est pas lue : elle est trop longue.`,
    answers: (model) => `Les réponses viennent de ce modèle : ${model}.`,
    silent: "le serveur ne répond pas ; tourne-t-il encore ?",
    failed: (status) => `le serveur a échoué (statut ${status})`,
    examples: "Exemples :",
    pairs: [
      ["Comment réinitialiser mon mot de passe ?", "J’ai oublié mon mot de passe, que faire ?"],
      ["Où est mon colis ?", "Quand est-ce que ma commande arrive ?"],
      ["Comment annuler ma commande ?", "Comment résilier mon abonnement ?"],
    ],
    asked: ["Comment me faire rembourser ?", "Je n’arrive pas à me connecter", "On m’a volé ma carte"],
    server: {
      "the text is empty": "le texte est vide",
      "the text is not UTF-8": "le texte n’est pas en UTF-8",
      "the first question: ": "la première question : ",
      "the second question: ": "la seconde question : ",
      "the question: ": "la question : ",
      "Blue words speak for the same question, orange ones against it: how far the similarity falls without them.":
        "Les mots bleus parlent pour la même question, les orange contre : de combien la similarité baisse sans eux.",
      "Gray words are not in the vocabulary.": "Les mots gris ne sont pas dans le vocabulaire.",
      "not in the vocabulary": "hors du vocabulaire",
      "The pairs of words that weigh most in the cosine of": "Les paires de mots qui pèsent le plus dans le cosinus de",
    },
  },
};

// The first language of the browser that the page speaks.
const language = navigator.languages.map((each) => each.slice(0, 2)).find((each) => each in TEXTS) ?? "en";
const texts = TEXTS[language];

// What the server says, in that language as far as the page knows the words.
function translated(said) {
  for (const [theirs, ours] of Object.entries(texts.server)) said = said.replaceAll(theirs, ours);
  return said;
}
