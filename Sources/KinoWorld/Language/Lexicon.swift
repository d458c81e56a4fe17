/// What a word or phrase of a prompt means.
enum Meaning: Hashable, Sendable {
  case shape(Scene.Shape)
  case colour(Scene.Colour)
  case finish(Scene.Finish)
  case size(Scene.Size)
  case number(Int)
  case motion(Scene.MotionKind)
  /// Moving somehow: rolls if it can, else slides.
  case travel
  case direction(Scene.Direction)
  case relation(Scene.Relation)
  /// "circles", "around": goes around what follows, or just around.
  case around
  case wall
  case ground(Scene.Ground)
  case sky(Scene.Sky)
  /// The word "camera": what follows is about it.
  case camera
  case cameraMotion(Scene.CameraMotion)
  /// "the": names something already mentioned.
  case definite
  case and
}

/// Phrases and their meanings. A pattern is a row of words; a word ending in `*` stands for all
/// words that begin so.
struct Lexicon: Sendable {
  private struct Pattern: Sendable {
    var words: [String]
    var meaning: Meaning
  }

  private var exact: [String: [Pattern]] = [:]
  private var stems: [Character: [Pattern]] = [:]

  /// Phrases anywhere in a prompt.
  static let general = Lexicon(english + russian)
  /// Phrases about the camera, once it has been named.
  static let camera = Lexicon(cameraPhrases)

  init(_ phrases: [(Meaning, String)]) {
    for (meaning, list) in phrases {
      for phrase in list.split(separator: ",") {
        let words = phrase.split(separator: " ").map(String.init)
        guard let first = words.first, let letter = first.first else { continue }
        let pattern = Pattern(words: words, meaning: meaning)
        if first.hasSuffix("*") {
          stems[letter, default: []].append(pattern)
        } else {
          exact[first, default: []].append(pattern)
        }
      }
    }
  }

  /// Finds the longest phrase that starts at a word; ties go to the longer spelling.
  func match(_ words: ArraySlice<String>) -> (meaning: Meaning, count: Int)? {
    guard let first = words.first, let letter = first.first else { return nil }
    var best: (meaning: Meaning, count: Int, letters: Int)?
    func consider(_ pattern: Pattern) {
      guard pattern.words.count <= words.count else { return }
      for (wanted, word) in zip(pattern.words, words) where !Lexicon.fits(word, wanted) { return }
      let letters = pattern.words.reduce(0) { $0 + $1.count }
      if let best, (best.count, best.letters) >= (pattern.words.count, letters) { return }
      best = (pattern.meaning, pattern.words.count, letters)
    }
    exact[first]?.forEach(consider)
    stems[letter]?.forEach(consider)
    return best.map { ($0.meaning, $0.count) }
  }

  private static func fits(_ word: String, _ wanted: String) -> Bool {
    wanted.hasSuffix("*") ? word.hasPrefix(wanted.dropLast()) : word == wanted
  }
}

extension Lexicon {
  static let english: [(Meaning, String)] = [
    (.shape(.sphere), "ball,balls,sphere,spheres,orb,orbs,marble"),
    (.shape(.cube), "cube,cubes,box,boxes,dice,die"),
    (.shape(.cylinder), "cylinder,cylinders,barrel,barrels"),
    (.shape(.cone), "cone,cones"),
    (.shape(.torus), "ring,rings,torus,tori,toruses,donut,donuts,doughnut,hoop"),
    (.shape(.pyramid), "pyramid,pyramids"),
    (.shape(.capsule), "capsule,capsules,pill,pills"),
    (.shape(.octahedron), "diamond,diamonds,octahedron,octahedra,octahedrons,crystal,crystals,gem"),
    (.shape(.disc), "disc,discs,disk,disks,coin,coins,wheel,wheels"),
    (.shape(.brick), "brick,bricks,block,blocks"),
    (.colour(.red), "red,crimson,scarlet"),
    (.colour(.green), "green,lime"),
    (.colour(.blue), "blue,navy"),
    (.colour(.yellow), "yellow"),
    (.colour(.orange), "orange"),
    (.colour(.purple), "purple,violet"),
    (.colour(.pink), "pink,magenta"),
    (.colour(.cyan), "cyan,turquoise,teal,aqua"),
    (.colour(.white), "white"),
    (.colour(.black), "black"),
    (.colour(.brown), "brown"),
    (.colour(.gray), "gray,grey"),
    (.colour(.gold), "gold,golden"),
    (.colour(.silver), "silver,silvery"),
    (.finish(.matte), "matte,matt,dull,rubber"),
    (.finish(.shiny), "shiny,glossy,polished"),
    (.finish(.metal), "metal,metallic,chrome,steel,iron,mirrored"),
    (.finish(.glass), "glass,transparent,glassy,translucent"),
    (.size(.small), "small,little,tiny"),
    (.size(.big), "big,large,huge,giant"),
    (.size(.medium), "medium,medium sized"),
    (.number(1), "one,1,single"),
    (.number(2), "two,2,pair of"),
    (.number(3), "three,3"),
    (.number(4), "four,4"),
    (
      .motion(.still),
      """
      stands,stand,standing,sits,sit,sitting,rests,rest,resting,does not move,still,\
      motionless,lies,lying
      """
    ),
    (.motion(.bounce), "bounces,bounce,bouncing,bounced"),
    (.motion(.roll), "rolls,roll,rolling,rolled"),
    (.motion(.slide), "slides,slide,sliding,glides,glide,gliding"),
    (.motion(.spin), "spins,spin,spinning,rotates,rotate,rotating,turns,turning,twirls,twirling"),
    (.motion(.circle), "in a circle,in circles,around in circles"),
    (.around, "circles,circling,circle,circles around,circling around,orbits,orbiting,orbit"),
    (.motion(.fall), "falls,fall,falling,drops,drop,dropping,falls down"),
    (.motion(.jump), "jumps,jump,jumping,hops,hop,hopping,leaps,leaping,leap"),
    (
      .motion(.collide),
      """
      hits,hit,hitting,crashes,crash,crashing,bumps,bump,bumping,collides,collide,\
      colliding,strikes,striking,knocks,smashes
      """
    ),
    (
      .travel,
      """
      moves,move,moving,goes,go,going,passes,pass,passing,travels,traveling,travelling,\
      drives,flies,flying,runs
      """
    ),
    (.direction(.left), "left,to the left,leftward,leftwards,from right to left,from the right"),
    (
      .direction(.right),
      """
      right,to the right,rightward,rightwards,from left to right,from the left
      """
    ),
    (
      .direction(.toward),
      """
      toward the camera,towards the camera,toward the viewer,towards the viewer,toward us,\
      towards us,toward camera,towards camera,closer
      """
    ),
    (.direction(.away), "away from the camera,away from us,into the distance,away,from the camera"),
    (.relation(.leftOf), "to the left of,left of,on the left of"),
    (.relation(.rightOf), "to the right of,right of,on the right of"),
    (.relation(.inFrontOf), "in front of,past"),
    (.relation(.behind), "behind"),
    (.around, "around"),
    (.wall, "wall,walls"),
    (.ground(.checker), "checkered,checkerboard,chessboard,chequered,tiles,tiled,checker"),
    (.ground(.grass), "grass,lawn,meadow,grassy"),
    (.ground(.sand), "sand,sandy,beach,desert,dunes"),
    (.ground(.wood), "wood,wooden,planks,deck,parquet"),
    (.ground(.snow), "snow,snowy,ice"),
    (.ground(.water), "water,lake,sea,ocean,pond"),
    (.sky(.day), "day,sunny,daylight,blue sky,clear sky,noon,sunny day,bright day"),
    (.sky(.sunset), "sunset,evening,dusk,sunrise,dawn,golden hour,orange sky,pink sky"),
    (.sky(.night), "night,starry,moonlight,stars,moonlit,midnight,dark sky,night sky"),
    (
      .sky(.overcast),
      """
      overcast,cloudy,cloudy day,overcast day,gray sky,grey sky,gray clouds,clouds
      """
    ),
    (.camera, "camera,view,viewpoint"),
    (.cameraMotion(.still), "static camera,still camera,fixed camera,static shot,still shot"),
    (.cameraMotion(.orbit), "orbiting camera,orbit shot,orbital shot"),
    (.cameraMotion(.dollyIn), "dolly in,zoom in,push in,zooming in"),
    (.cameraMotion(.dollyOut), "dolly out,zoom out,pull back,zooming out"),
    (.cameraMotion(.panLeft), "pan left,panning left,pan to the left"),
    (.cameraMotion(.panRight), "pan right,panning right,pan to the right"),
    (.cameraMotion(.rise), "rising camera,crane shot,crane up"),
    (.cameraMotion(.shake), "handheld camera,shaky camera,handheld,handheld shot,shaking camera"),
    (.definite, "the"),
    (.and, "and"),
  ]

  static let russian: [(Meaning, String)] = [
    (.shape(.sphere), "шар,шара,шару,шаром,шаре,шары,шаров,шарик*,мяч*,сфер*"),
    (.shape(.cube), "куб,куба,кубу,кубом,кубы,кубов,кубик*,короб*"),
    (.shape(.cylinder), "цилиндр*,бочк*"),
    (.shape(.cone), "конус*"),
    (.shape(.torus), "кольц*,колец,тор,тора,бублик*,обруч*"),
    (.shape(.pyramid), "пирамид*"),
    (.shape(.capsule), "капсул*,таблетк*,пилюл*"),
    (.shape(.octahedron), "октаэдр*,кристалл*,ромб*,алмаз*"),
    (.shape(.disc), "диск,диска,диском,диски,дисков,монет*,колес*"),
    (.shape(.brick), "кирпич*,брус*,блок*"),
    (.colour(.red), "красн*,алый,алая,алое"),
    (.colour(.green), "зелен*"),
    (.colour(.blue), "синий,синяя,синее,синего,синей,синим,синюю,синих,синие"),
    (.colour(.yellow), "желт*"),
    (.colour(.orange), "оранжев*"),
    (.colour(.purple), "фиолетов*,пурпурн*,лилов*"),
    (.colour(.pink), "розов*"),
    (.colour(.cyan), "бирюзов*,голуб*"),
    (.colour(.white), "белый,белая,белое,белого,белой,белым,белую,белых,белые"),
    (.colour(.black), "черн*"),
    (.colour(.brown), "коричнев*"),
    (.colour(.gray), "серый,серая,серое,серого,серой,серым,серую,серых,серые"),
    (.colour(.gold), "золот*"),
    (.colour(.silver), "серебр*"),
    (.finish(.matte), "матов*"),
    (.finish(.shiny), "блестящ*,глянцев*"),
    (.finish(.metal), "металл*,железн*,стальн*"),
    (.finish(.glass), "стеклян*,прозрачн*"),
    (.size(.small), "маленьк*,небольш*,мал,крошечн*"),
    (.size(.big), "больш*,огромн*,крупн*"),
    (.size(.medium), "средн*"),
    (.number(1), "один,одна,одно"),
    (.number(2), "два,две,двое,пара"),
    (.number(3), "три,трое"),
    (.number(4), "четыре"),
    (
      .motion(.still),
      """
      стоит,стоят,неподвижн*,стоит неподвижно,стоят неподвижно,не движется,не движутся,\
      лежит,лежат
      """
    ),
    (.motion(.bounce), "подпрыг*,отскакив*,скачет,скачут"),
    (.motion(.roll), "катит*,катят*"),
    (.motion(.slide), "скольз*"),
    (.motion(.spin), "вращ*,крут*,верт*"),
    (.motion(.circle), "по кругу,кругами"),
    (.around, "кружит*,кружат*,кружит вокруг"),
    (.motion(.fall), "пада*,упал*"),
    (.motion(.jump), "прыга*,подскак*"),
    (.motion(.collide), "сталкива*,столкн*,вреза*,ударя*,бьет*"),
    (.travel, "движ*,едет,едут,проход*,скрыва*,проезж*,двига*,перемеща*,летит,летят"),
    (.direction(.left), "влево,налево,справа налево"),
    (.direction(.right), "вправо,направо,слева направо"),
    (.direction(.toward), "к камере,на камеру,навстречу камере,к зрителю,навстречу"),
    (.direction(.away), "от камеры,вдаль,прочь"),
    (.relation(.leftOf), "слева от,левее"),
    (.relation(.rightOf), "справа от,правее"),
    (.relation(.inFrontOf), "перед,мимо,впереди"),
    (.relation(.behind), "за,позади,сзади"),
    (.around, "вокруг"),
    (.wall, "стен*"),
    (.ground(.checker), "клетчат*,шахмат*,плитк*"),
    (.ground(.grass), "трав*,лужай*,газон*,луг,лугу"),
    (.ground(.sand), "песк*,песок,песчан*,пляж*"),
    (.ground(.wood), "дерев*,доск*,досок,паркет*,досках"),
    (.ground(.checker), "шахматной доске"),
    (.ground(.snow), "снег*,снеж*,заснежен*,лед,льду"),
    (.ground(.water), "вода,воде,воды,водой,воду,озер*,море"),
    (.sky(.day), "днем,день,солнечн*,ясн*,голубым небом,голубое небо"),
    (.sky(.sunset), "закат*,вечер*,рассвет*"),
    (.sky(.night), "ночь*,ночн*,ночи,звездн*,лунн*"),
    (.sky(.overcast), "пасмурн*,облачн*,хмур*,тучи,тучами,пасмурный день"),
    (.camera, "камер*"),
    (.cameraMotion(.still), "статичн* камер*"),
    (.and, "и"),
  ]

  static let cameraPhrases: [(Meaning, String)] = [
    (
      .cameraMotion(.still),
      """
      still,static,fixed,stays,does not move,motionless,неподвижн*,не движется,стоит,\
      статичн*
      """
    ),
    (
      .cameraMotion(.orbit),
      """
      orbits,orbit,orbiting,circles,circling,moves around,goes around,revolves,облета*,\
      кружит*,движется вокруг,вращ*,вокруг
      """
    ),
    (
      .cameraMotion(.dollyIn),
      """
      moves in,moving in,moves closer,moving closer,pushes in,pushing in,zooms in,\
      dollies in,approaches,comes closer,moves forward,moves toward*,приближ*,наезж*,\
      подъезж*
      """
    ),
    (
      .cameraMotion(.dollyOut),
      """
      pulls back,pulling back,moves away,moving away,pulls out,pulling out,zooms out,\
      dollies out,backs away,moves back,отдал*,отъезж*,удаля*
      """
    ),
    (
      .cameraMotion(.panLeft),
      """
      pans left,pans to the left,turns left,turns to the left,panning left,pan left,\
      поворачива* влево,поворачива* налево,панорамиру* влево,влево,налево
      """
    ),
    (
      .cameraMotion(.panRight),
      """
      pans right,pans to the right,turns right,turns to the right,panning right,pan right,\
      поворачива* вправо,поворачива* направо,панорамиру* вправо,вправо,направо
      """
    ),
    (.cameraMotion(.rise), "rises,rising,moves up,goes up,lifts,cranes up,rise,поднима*,взлета*"),
    (.cameraMotion(.shake), "shakes,shaking,shaky,handheld,trembles,тряс*,дрож*"),
  ]
}
