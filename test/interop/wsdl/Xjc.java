import java.io.*;
import java.net.*;
import javax.xml.bind.*;

/** The classes that xjc makes of a WSDL write every request, in an envelope of our own. usage: Xjc URL VERSION SAMPLES-DIR */
class Xjc {
    public static void main(String[] a) throws Exception {
        for (String name : Fill.SERVICES) {
            org.w3c.dom.Element request = Fill.body(a[2] + "/" + Fill.service(name, a[1]) + ".xml");
            String space = name.equals("Annuaire") ? "https.ws_annuaireamc" : "roc." + name.substring(3).toLowerCase() + "._" + a[1].substring(1) + "_0";
            String local = request.getLocalName();
            Class<?> type = Class.forName(space + "." + Character.toUpperCase(local.charAt(0)) + local.substring(1));
            Marshaller m = JAXBContext.newInstance(type).createMarshaller();
            m.setProperty(Marshaller.JAXB_FRAGMENT, true);
            StringWriter w = new StringWriter();
            w.write("<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>");
            m.marshal(Fill.make(type, request), w);
            w.write("</e:Body></e:Envelope>");
            HttpURLConnection c = (HttpURLConnection) new URL(a[0]).openConnection();
            c.setDoOutput(true);
            c.setRequestProperty("Content-Type", "text/xml; charset=utf-8");
            c.getOutputStream().write(w.toString().getBytes("UTF-8"));
            if (c.getResponseCode() != 200) throw new Exception(name + ": HTTP " + c.getResponseCode());
        }
    }
}
